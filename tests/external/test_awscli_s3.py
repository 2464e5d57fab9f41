"""The AWS command line registers a bundle from S3, or from a directory, and grpcurl reads the version it became."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from grpcurl import VERSIONS, grpcurl
from server import ENVIRONMENT_BUNDLE, aws_client, packed

AWS = Path(sys.executable).parent / "aws"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
BUCKET, KEY = "proton-bundles", "templates/environment.tar.gz"


@pytest.fixture
def s3():
    """The endpoint of an S3 that holds the bundle."""
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    endpoint = "http://{}:{}".format(*moto.get_host_and_port())
    client = aws_client("s3", endpoint)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=KEY, Body=packed(ENVIRONMENT_BUNDLE))
    yield endpoint
    moto.stop()


@pytest.fixture(params=["s3", "directory"])
def server(request, start):
    if request.param == "s3":
        endpoint = request.getfixturevalue("s3")
        return start(bundles="s3", environment={**CREDENTIALS, "AWS_ENDPOINT_URL_S3": endpoint})
    server = start()
    server.put_bundle(BUCKET, KEY, ENVIRONMENT_BUNDLE)
    return server


def aws(server, *arguments: str) -> dict:
    """What `aws proton` prints, with no configuration but the endpoint and credentials."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {**CREDENTIALS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull}
    command = [AWS, "proton", *arguments, "--endpoint-url", server.aws_json, "--output", "json"]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "{}")


def test_a_bundle_registered_by_the_aws_command_line_is_read_by_grpcurl(server):
    version = ["--template-name", "network", "--major-version", "1", "--minor-version", "0"]
    aws(server, "create-environment-template", "--name", "network")
    created = aws(
        server,
        "create-environment-template-version",
        *("--template-name", "network", "--source", f"s3={{bucket={BUCKET},key={KEY}}}"),
    )
    assert created["environmentTemplateVersion"]["status"] == "REGISTRATION_IN_PROGRESS"

    aws(server, "wait", "environment-template-version-registered", *version)
    seen = aws(server, "get-environment-template-version", *version)["environmentTemplateVersion"]
    assert (seen["status"], seen["schema"]) == ("DRAFT", ENVIRONMENT_BUNDLE["schema/schema.yaml"])

    data = {"templateName": "network", "majorVersion": "1", "minorVersion": "0"}
    for installed in VERSIONS:
        read = grpcurl(installed, server.grpc, "proton.v1.ProtonService/GetEnvironmentTemplateVersion", data=data)
        shown = json.loads(read.stdout)["environmentTemplateVersion"]
        assert shown["status"] == "TEMPLATE_VERSION_STATUS_DRAFT"
        for member in ("arn", "templateName", "majorVersion", "minorVersion", "schema"):
            assert shown[member] == seen[member]
