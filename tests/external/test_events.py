"""Events as a reader of the file finds them, of what boto3 has asked for."""

import json
import time

from server import ENVIRONMENT_BUNDLE

SECONDS = 20
ARN = "arn:aws:proton:us-east-1:000000000000:environment-template/net"


def told(file, count: int) -> list[dict]:
    """The events in the file, once there are so many."""
    deadline = time.monotonic() + SECONDS
    while True:
        lines = file.read_text().splitlines(keepends=True)
        if len(lines) >= count and lines[-1].endswith("\n"):
            return [json.loads(line) for line in lines]
        assert time.monotonic() < deadline, lines
        time.sleep(0.02)


def test_every_change_of_a_status_is_a_line_in_the_file(start, tmp_path):
    file = tmp_path / "events.jsonl"
    server = start(environment={"PROTON_GRPC_EVENTS": str(file)})
    server.put_bundle("templates", "net.tar.gz", ENVIRONMENT_BUNDLE)
    proton = server.boto3()
    proton.create_environment_template(name="net")
    source = {"s3": {"bucket": "templates", "key": "net.tar.gz"}}
    proton.create_environment_template_version(templateName="net", source=source)
    version = {"templateName": "net", "majorVersion": "1", "minorVersion": "0"}
    waiter = proton.get_waiter("environment_template_version_registered")
    waiter.wait(**version, WaiterConfig={"Delay": 1, "MaxAttempts": SECONDS})
    proton.update_environment_template_version(**version, status="PUBLISHED")

    events = told(file, 5)
    statuses = [(event["resources"], event["detail"].get("previousStatus"), event["detail"]["status"]) for event in events]
    assert sorted(statuses[3:]) == [
        ([ARN], "DRAFT", "PUBLISHED"),
        ([f"{ARN}:1.0"], "DRAFT", "PUBLISHED"),
    ]
    assert statuses[:3] == [
        ([ARN], None, "DRAFT"),
        ([f"{ARN}:1.0"], None, "REGISTRATION_IN_PROGRESS"),
        ([f"{ARN}:1.0"], "REGISTRATION_IN_PROGRESS", "DRAFT"),
    ]
    for event in events:
        assert event["source"] == "aws.proton"
        assert event["account"] == "000000000000"
        assert event["region"] == "us-east-1"
    assert len({event["id"] for event in events}) == len(events)
