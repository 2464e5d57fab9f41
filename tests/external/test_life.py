"""The whole life of a service through three doors: boto3 with its waiters, unary gRPC, and gRPC with its streams. All see the
same things, and leave the same behind."""

import time

import grpc
import pytest

import contract
from model import OPERATIONS, PAGINATORS, SHAPES, WAITERS
from wires import AwsJson, Grpc
from world import COMPONENT, CONNECTION, ROLE, SPECS, must, populate_templates, state

QUICKLY = {"Delay": 1, "MaxAttempts": 20}
SECONDS = 20
TEMPLATE = {"templateName": "a", "templateMajorVersion": "1"}
REPOSITORY = {"repositoryConnectionArn": CONNECTION, "repositoryId": "a/b", "branchName": "main"}


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Boto3Door(AwsJson):
    """Waits as boto3's waiters do."""

    def wait(self, waiter, **request):
        self.client.get_waiter(snake(waiter)).wait(**request, WaiterConfig=QUICKLY)


class UnaryDoor(Grpc):
    """Waits by asking again."""

    def wait(self, waiter, **request):
        facts = WAITERS[waiter]
        deadline = time.monotonic() + SECONDS
        while True:
            outcome = self.call(facts["operation"], request)
            if outcome.status is not grpc.StatusCode.OK:
                assert waiter.endswith("Deleted"), outcome
                return
            if not any(status.endswith("IN_PROGRESS") for status in statuses(outcome.answer)):
                return
            assert time.monotonic() < deadline, f"{waiter}: {outcome}"
            time.sleep(0.02)


class StreamDoor(Grpc):
    """Waits by a stream of states."""

    def wait(self, waiter, **request):
        asked = contract.request(f"WaitUntil{waiter}", request, contract.STREAMING_SERVICE)
        for _ in getattr(self.streams, f"WaitUntil{waiter}")(asked, timeout=SECONDS):
            pass


def statuses(answer):
    """Every status in an answer, however deep."""
    if isinstance(answer, dict):
        for member, value in answer.items():
            if member in ("status", "deploymentStatus"):
                yield value
            else:
                yield from statuses(value)


def live(door) -> None:
    """From templates to a service that is deployed, changed, given a component, and half taken down."""
    must(door, "UpdateAccountSettings", pipelineServiceRoleArn=ROLE)
    for name in ("e", "f"):
        roles = {"protonServiceRoleArn": ROLE, "componentRoleArn": ROLE}
        must(door, "CreateEnvironment", name=name, **TEMPLATE, spec=SPECS["environment"], **roles)
        door.wait("EnvironmentDeployed", name=name)
    must(door, "UpdateEnvironment", name="e", deploymentType="MINOR_VERSION", templateMinorVersion="1")
    door.wait("EnvironmentDeployed", name="e")

    for name in ("s", "gone"):
        must(door, "CreateService", name=name, **TEMPLATE, spec=SPECS["service"], **REPOSITORY)
        door.wait("ServiceCreated", name=name)
    must(door, "UpdateService", name="s", spec=SPECS["two"])
    door.wait("ServiceUpdated", name="s")
    instance = {"serviceName": "s", "name": "i"}
    spec = SPECS["two"].replace("port: 80", "port: 81")
    must(door, "UpdateServiceInstance", **instance, deploymentType="CURRENT_VERSION", spec=spec)
    door.wait("ServiceInstanceDeployed", **instance)
    must(door, "UpdateServicePipeline", serviceName="s", deploymentType="MINOR_VERSION", spec=spec, templateMinorVersion="1")
    door.wait("ServicePipelineDeployed", name="s")

    for name in ("c", "d"):
        must(door, "CreateComponent", name=name, environmentName="e", **COMPONENT)
        door.wait("ComponentDeployed", name=name)
    must(door, "DeleteComponent", name="d")
    door.wait("ComponentDeleted", name="d")
    must(door, "DeleteService", name="gone")
    door.wait("ServiceDeleted", name="gone")
    must(door, "DeleteEnvironment", name="f")
    deadline = time.monotonic() + SECONDS
    while door.call("GetEnvironment", {"name": "f"}).status is grpc.StatusCode.OK:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_all_doors_lead_to_the_same(start):
    doors = [door(start()) for door in (Boto3Door, UnaryDoor, StreamDoor)]
    for door in doors:
        populate_templates(door)
        live(door)
    first, *others = [state(door.server) for door in doors]
    for other in others:
        assert other == first
    (instance, _) = first["ListServiceInstances {}"]["serviceInstances"]
    assert (instance["name"], instance["deploymentStatus"]) == ("i", "SUCCEEDED")
    deployments = must(doors[0], "ListDeployments")["deployments"]
    kinds = [deployment["deploymentStatus"] for deployment in deployments]
    assert set(kinds) == {"SUCCEEDED", "DELETE_COMPLETE"}


@pytest.mark.parametrize("operation", sorted(PAGINATORS))
def test_the_stream_of_every_list_is_what_boto3_pages_through(lived, operation):
    over_aws_json, over_grpc = lived
    request = {
        "ListEnvironmentAccountConnections": {"requestedBy": "MANAGEMENT_ACCOUNT"},
        "ListComponentOutputs": {"componentName": "c"},
        "ListComponentProvisionedResources": {"componentName": "c"},
        "ListEnvironmentOutputs": {"environmentName": "e"},
        "ListEnvironmentProvisionedResources": {"environmentName": "e"},
        "ListEnvironmentTemplateVersions": {"templateName": "a"},
        "ListServiceTemplateVersions": {"templateName": "a"},
        "ListServiceInstanceOutputs": {"serviceName": "s", "serviceInstanceName": "i"},
        "ListServiceInstanceProvisionedResources": {"serviceName": "s", "serviceInstanceName": "i"},
        "ListServicePipelineOutputs": {"serviceName": "s"},
        "ListServicePipelineProvisionedResources": {"serviceName": "s"},
        "ListRepositorySyncDefinitions": {
            "repositoryName": "a/b",
            "repositoryProvider": "BITBUCKET",
            "syncType": "TEMPLATE_SYNC",
        },
        "ListTagsForResource": {"resourceArn": must(over_aws_json, "GetService", name="s")["service"]["arn"]},
    }.get(operation, {})
    if "maxResults" in members(operation):
        request = {**request, "maxResults": 1}
    streamed = list(over_grpc.entries(operation, request))
    request.pop("maxResults", None)

    assert streamed == list(over_aws_json.entries(operation, request))
    assert streamed or operation == "ListRepositorySyncDefinitions"


def members(operation):
    return SHAPES[OPERATIONS[operation]["input"]]["members"]


@pytest.fixture(scope="module")
def lived(server):
    """Both wires into a server on which a life was lived."""
    door = UnaryDoor(server)
    populate_templates(door)
    live(door)
    return AwsJson(server), door
