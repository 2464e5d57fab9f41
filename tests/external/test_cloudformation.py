"""Deployments as real stacks, made by moto's CloudFormation: Proton's names and tags, outputs, update, delete."""

import time

import boto3
import grpc
import pytest
from moto.server import ThreadedMotoServer

from server import aws_client
from wires import Grpc
from world import ROLE, SPECS, must, populate_templates

# Stacks are looked at every five seconds.
SECONDS = 40


@pytest.fixture
def aws():
    """The endpoint of an AWS of one's own."""
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    yield "http://{}:{}".format(*moto.get_host_and_port())
    moto.stop()


@pytest.fixture
def stacks(aws):
    """CloudFormation as the environment's role sees it."""
    assumed = aws_client("sts", aws).assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "cloudformation",
        endpoint_url=aws,
        region_name="us-east-1",
        aws_access_key_id=assumed["AccessKeyId"],
        aws_secret_access_key=assumed["SecretAccessKey"],
        aws_session_token=assumed["SessionToken"],
    )


@pytest.fixture
def wire(aws, start):
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": aws,
        "PROTON_GRPC_CLOUDFORMATION": "aws",
    }
    wire = Grpc(start(environment=environment))
    populate_templates(wire)
    return wire


def deployed(wire) -> dict:
    """The environment `e` once its deployment has ended."""
    deadline = time.monotonic() + SECONDS
    while True:
        environment = must(wire, "GetEnvironment", name="e")["environment"]
        if environment["deploymentStatus"] != "IN_PROGRESS":
            return environment
        assert time.monotonic() < deadline, environment
        time.sleep(0.1)


def outputs(wire) -> dict[str, str]:
    listed = must(wire, "ListEnvironmentOutputs", environmentName="e")["outputs"]
    return {output["key"]: output["valueString"] for output in listed}


def test_an_environment_is_a_stack_with_protons_name_and_tags(wire, stacks):
    created = {"templateName": "a", "templateMajorVersion": "1", "spec": SPECS["environment"]}
    must(wire, "CreateEnvironment", name="e", **created, protonServiceRoleArn=ROLE)
    assert deployed(wire)["deploymentStatus"] == "SUCCEEDED"
    assert outputs(wire) == {"Name": "10.1.0.0/16"}

    (stack,) = stacks.describe_stacks()["Stacks"]
    assert stack["StackName"].startswith("AWSProton-e-cloudformation--")
    arn = "arn:aws:proton:us-east-1:000000000000"
    assert {tag["Key"]: tag["Value"] for tag in stack["Tags"]} == {
        "proton:account": "000000000000",
        "proton:template": f"{arn}:environment-template/a",
        "proton:environment": f"{arn}:environment/e",
    }
    assert "10.1.0.0/16" in str(stacks.get_template(StackName=stack["StackName"])["TemplateBody"])
    (resource,) = must(wire, "ListEnvironmentProvisionedResources", environmentName="e")["provisionedResources"]
    name = wire.server.ids.meant(resource["name"])
    assert (name, resource["provisioningEngine"]) == (stack["StackName"], "CLOUDFORMATION")

    spec = SPECS["environment"].replace("10.1", "10.2")
    must(wire, "UpdateEnvironment", name="e", deploymentType="CURRENT_VERSION", spec=spec)
    assert deployed(wire)["deploymentStatus"] == "SUCCEEDED"
    assert outputs(wire) == {"Name": "10.2.0.0/16"}
    assert len(stacks.describe_stacks()["Stacks"]) == 1

    must(wire, "DeleteEnvironment", name="e")
    deadline = time.monotonic() + SECONDS
    while wire.call("GetEnvironment", {"name": "e"}).status is grpc.StatusCode.OK:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert stacks.describe_stacks()["Stacks"] == []
