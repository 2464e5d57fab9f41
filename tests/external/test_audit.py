"""The audit trail, as boto3, grpcurl and kill -9 fill it."""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from grpcurl import grpcurl
from server import BINARY, Server

ROUNDS = 5
WRITERS = 4
ROTATE_SECONDS = 20


def verify(*files: Path) -> tuple[int, dict]:
    command = [BINARY, "audit", "verify", "--json", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def records(file: Path) -> list[dict]:
    """Those that are records: a crash leaves other lines, too."""
    found = []
    for line in file.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


def test_what_boto3_and_grpcurl_do_can_be_read_and_checked(start, trail):
    server = start(flags=[f"--audit={trail}"])
    proton = server.boto3()
    proton.create_environment_template(name="web")
    with pytest.raises(ClientError):
        proton.create_environment_template(name="web", description="another")
    called = grpcurl("current", server.grpc, "proton.v1.ProtonService/DeleteEnvironmentTemplate", data={"name": "web"})
    assert called.returncode == 0, called.stderr
    proton.list_environment_templates()

    told = [
        (record["event"], record["front"], record["operation"], record["resource"], record.get("outcome"))
        for record in records(trail)
        if "front" in record
    ]
    web = "EnvironmentTemplate/web"
    create, delete = ("aws-json", "CreateEnvironmentTemplate", web), ("grpc", "DeleteEnvironmentTemplate", web)
    assert told == [
        ("intent", *create, None),
        ("outcome", *create, "ok"),
        ("intent", *create, None),
        ("outcome", *create, "rejected"),
        ("intent", *delete, None),
        ("outcome", *delete, "ok"),
    ]
    assert verify(trail)[1]["unfinished"] == 0

    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=40) == 0
    assert records(trail)[-1]["event"] == "closed"
    code, report = verify(trail)
    assert (code, report["broken"], report["records"]) == (0, None, 8)


def test_anybody_can_check_the_chain(start, trail):
    """The documented rule, in a few lines of another language."""
    server = start(flags=[f"--audit={trail}"])
    server.boto3().create_environment_template(name="web")
    previous = "0" * 64
    for line in trail.read_bytes().splitlines():
        body, _, rest = line.rpartition(b',"hash":')
        record = json.loads(line)
        assert record["previous"] == previous
        previous = hashlib.sha256(body).hexdigest()
        assert rest == f'"{previous}"}}'.encode()


def test_a_change_of_the_file_is_found(start, trail):
    server = start(flags=[f"--audit={trail}"])
    server.boto3().create_environment_template(name="web")
    server.kill()
    good = trail.read_text()
    trail.write_text(good.replace("EnvironmentTemplate/web", "EnvironmentTemplate/wet", 1))
    code, report = verify(trail)
    assert (code, report["broken"]["line"]) == (1, 2)


def test_the_trail_goes_on_in_a_new_file_after_sighup(start, trail, tmp_path):
    server = start(flags=[f"--audit={trail}"])
    proton = server.boto3()
    proton.create_environment_template(name="one")
    old = tmp_path / "audit.1"
    os.rename(trail, old)
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + ROTATE_SECONDS
    while not trail.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    proton.create_environment_template(name="two")
    code, report = verify(old, trail)
    assert (code, report["broken"], report["unfinished"]) == (0, None, 0)
    assert "two" not in old.read_text()


def test_every_acknowledged_change_is_recorded_through_kill_9(tmp_path, trail):
    acknowledged = []
    for round_ in range(ROUNDS):
        with Server(tmp_path / "server", flags=[f"--audit={trail}", "--quota=templates=10000"]) as server:
            enough = threading.Event()

            def write(writer: int) -> None:
                proton = server.boto3()
                for number in range(10_000):
                    name = f"t-{round_}-{writer}-{number}"
                    try:
                        proton.create_environment_template(name=name)
                    except (BotoCoreError, ClientError):
                        return
                    acknowledged.append(name)
                    if number == 10 + 3 * round_:
                        enough.set()

            writers = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
            for writer in writers:
                writer.start()
            assert enough.wait(timeout=60)
            server.kill()
            for writer in writers:
                writer.join()
        code, report = verify(trail)
        assert (code, report["broken"]) == (0, None)
        # At most what each writer had under way in each round.
        assert report["unfinished"] <= WRITERS * (round_ + 1)
    told = records(trail)
    done = {record["resource"] for record in told if record["event"] == "outcome" and record["outcome"] == "ok"}
    assert {f"EnvironmentTemplate/{name}" for name in acknowledged} <= done


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--audit-reads"], "--audit-reads needs --audit"),
        (["--audit-key=key"], "--audit-key needs --audit"),
    ],
)
def test_settings_without_their_other_half_are_told(flags, said):
    done = subprocess.run([BINARY, "serve", *flags], capture_output=True, text=True, timeout=60)
    assert (done.returncode, said in done.stderr) == (64, True), done.stderr
