"""The same requests, through boto3 to one server and through gRPC to another, have the same answers, errors and effects."""

import random

import grpc
import pytest

from ids import stand_in
from model import OPERATIONS, Case, full, minimal, shape_of_input, violations
from walk import draw
from wires import AwsJson, Grpc, assert_same
from world import ARN, COMPATIBLE, CONNECTION, ROLE, SERVICE_SOURCE, SPECS, populate, put_bundles, quiet, registered, state

def environment(name, **members):
    """A request that creates an environment."""
    wanted = {"name": name, "templateName": "a", "templateMajorVersion": "1", "spec": SPECS["environment"]}
    return {**wanted, "protonServiceRoleArn": ROLE, **members}


def service(name, **members):
    """A request that creates a service."""
    repository = {"repositoryConnectionArn": CONNECTION, "repositoryId": "a/b", "branchName": "main"}
    return {"name": name, "templateName": "a", "templateMajorVersion": "1", "spec": SPECS["service"], **repository, **members}


# Requests of which each member is valid, but not with the others or with what there is.
COMBINATIONS = {
    "UpdateAccountSettings": [
        Case(
            "removes and sets the repository",
            {
                "deletePipelineProvisioningRepository": True,
                "pipelineProvisioningRepository": {"branch": "main", "name": "a/b", "provider": "GITHUB"},
            },
        ),
        Case("removes a role that is not set", {"pipelineServiceRoleArn": ""}),
        Case(
            "sets a linked repository",
            {"pipelineProvisioningRepository": {"branch": "main", "name": "a/b", "provider": "BITBUCKET"}},
        ),
    ],
    "CreateRepository": [
        Case("holds a space", {"name": "a/b c", "provider": "GITHUB", "connectionArn": CONNECTION}),
        Case("links one that is linked", {"name": "a/b", "provider": "BITBUCKET", "connectionArn": CONNECTION}),
    ],
    "CreateTemplateSyncConfig": [
        Case(
            "syncs from an unknown repository",
            {
                "branch": "main",
                "repositoryName": "un/known",
                "repositoryProvider": "GITHUB",
                "templateName": "a",
                "templateType": "SERVICE",
            },
        ),
    ],
    "AcceptEnvironmentAccountConnection": [Case("accepts an unknown one", {"id": stand_in(99)})],
    "DeleteEnvironmentAccountConnection": [Case("takes one that never was", {"id": stand_in(99)})],
    "ListEnvironmentAccountConnections": [
        Case("asks for other statuses", {"requestedBy": "MANAGEMENT_ACCOUNT", "statuses": ["REJECTED"]}),
        Case("follows a foreign token", {"requestedBy": "MANAGEMENT_ACCOUNT", "nextToken": "Zm9yZWlnbg=="}),
    ],
    "CreateServiceTemplateVersion": [
        Case(
            "is compatible with an unknown template",
            {
                "templateName": "a",
                "source": SERVICE_SOURCE,
                "compatibleEnvironmentTemplates": [{"templateName": "unknown", "majorVersion": "1"}],
            },
        ),
        Case(
            "adds to an unknown major version",
            {
                "templateName": "a",
                "majorVersion": "7",
                "source": SERVICE_SOURCE,
                "compatibleEnvironmentTemplates": COMPATIBLE,
            },
        ),
    ],
    "UpdateServiceTemplateVersion": [
        Case(
            "clears the component sources",
            {"templateName": "a", "majorVersion": "1", "minorVersion": "0", "supportedComponentSources": []},
        ),
    ],
    "UpdateEnvironmentTemplateVersion": [
        Case(
            "goes back to draft",
            {"templateName": "a", "majorVersion": "1", "minorVersion": "0", "status": "DRAFT"},
        ),
    ],
    "DeleteEnvironmentTemplateVersion": [
        Case("takes the recommended version", {"templateName": "a", "majorVersion": "1", "minorVersion": "0"}),
    ],
    "DeleteEnvironmentTemplate": [Case("takes one that never was", {"name": "never"})],
    "CreateEnvironment": [
        Case("deploys one", environment("new")),
        Case("deploys the same again", environment("new")),
        Case("breaks the schema", environment("broken", spec="proton: EnvironmentSpec\nspec:\n  cidr: 7\n")),
        Case("has no role", {key: value for key, value in environment("bare").items() if key != "protonServiceRoleArn"}),
    ],
    "UpdateEnvironment": [
        Case("goes to the next minor version", {"name": "e", "deploymentType": "MINOR_VERSION", "templateMinorVersion": "1"}),
        Case("gives a spec to none", {"name": "e", "deploymentType": "NONE", "spec": SPECS["environment"]}),
    ],
    "DeleteEnvironment": [Case("takes one in use", {"name": "e"})],
    "CancelEnvironmentDeployment": [Case("has nothing to cancel", {"environmentName": "e"})],
    "ListEnvironmentOutputs": [Case("asks for an unknown deployment", {"environmentName": "e", "deploymentId": stand_in(99)})],
    "CreateService": [
        Case("deploys one", service("new")),
        Case("names an unknown environment", service("lost", spec=SPECS["service"].replace("environment: e", "environment: u"))),
    ],
    "UpdateService": [
        Case("adds an instance", {"name": "s", "spec": SPECS["two"]}),
        Case("takes it away", {"name": "s", "spec": SPECS["service"]}),
        Case("changes one that stays", {"name": "s", "spec": SPECS["service"].replace("port: 80", "port: 81")}),
    ],
    "UpdateServiceInstance": [
        Case(
            "deploys it again",
            {"serviceName": "s", "name": "i", "deploymentType": "CURRENT_VERSION", "spec": SPECS["service"]},
        ),
    ],
    "UpdateServicePipeline": [
        Case("deploys it again", {"serviceName": "s", "deploymentType": "CURRENT_VERSION", "spec": SPECS["service"]}),
    ],
    "CreateServiceInstance": [Case("adds one", {"serviceName": "s", "name": "j", "spec": SPECS["two"]})],
    "ListServiceInstances": [
        Case("sorts and filters", {"sortBy": "createdAt", "filters": [{"key": "environmentName", "value": "e"}]}),
        Case("filters by no time", {"filters": [{"key": "createdAtBefore", "value": "yesterday"}]}),
    ],
    "DeleteService": [Case("takes one", {"name": "s"}), Case("takes it again", {"name": "s"})],
    "DeleteComponent": [Case("takes one", {"name": "c"}), Case("takes it again", {"name": "c"})],
    "ListDeployments": [
        Case("narrows to an instance", {"serviceName": "s", "serviceInstanceName": "i"}),
        Case("names an instance without its service", {"serviceInstanceName": "i"}),
    ],
    "NotifyResourceDeploymentStatusChange": [
        Case("notifies of what AWS manages", {"resourceArn": f"{ARN}:environment/e", "status": "SUCCEEDED"}),
        Case("notifies of nothing", {"resourceArn": f"{ARN}:environment/none", "status": "SUCCEEDED"}),
    ],
    "ListEnvironmentTemplates": [Case("follows a foreign token", {"nextToken": "Zm9yZWlnbg=="})],
    "TagResource": [
        Case(
            "sets a reserved key",
            {"resourceArn": f"{ARN}:environment-template/a", "tags": [{"key": "aws:team", "value": "blue"}]},
        ),
        Case(
            "tags an unknown resource",
            {"resourceArn": f"{ARN}:environment/unknown", "tags": [{"key": "team", "value": "blue"}]},
        ),
    ],
}


@pytest.fixture
def wires(start):
    """A fresh server behind each wire."""
    return AwsJson(start()), Grpc(start())


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_requests_made_from_the_model_end_alike(wires, operation):
    over_aws_json, over_grpc = wires
    for wire in wires:
        populate(wire)
    shape = shape_of_input(operation)
    cases = [
        *violations(operation),
        *COMBINATIONS.get(operation, []),
        Case("minimal", minimal(shape)),
        Case("full", full(shape)),
        Case("minimal again", minimal(shape)),
    ]

    for case in cases:
        expected, answered = (wire.call(operation, case.request) for wire in wires)
        assert_same(expected, answered, f"{operation} {case.name}: {case.request}")
        settle(wires, operation, expected)
        if expected.status is grpc.StatusCode.OK:
            assert state(over_grpc.server) == state(over_aws_json.server), f"after {operation} {case.name}"
    assert state(over_grpc.server) == state(over_aws_json.server)


@pytest.mark.parametrize("seed", range(4))
def test_a_random_walk_ends_in_the_same_place(wires, seed):
    over_aws_json, over_grpc = wires
    for wire in wires:
        put_bundles(wire.server)
    rng = random.Random(seed)

    for step in range(250):
        operation = rng.choice(sorted(OPERATIONS))
        request = draw(rng, shape_of_input(operation))
        expected, answered = (wire.call(operation, request) for wire in wires)
        assert_same(expected, answered, f"seed {seed}, step {step}: {operation} {request}")
        settle(wires, operation, expected)
        if step % 25 == 0:
            assert state(over_grpc.server) == state(over_aws_json.server), f"seed {seed}, step {step}: {operation} {request}"
    assert state(over_grpc.server) == state(over_aws_json.server)


def settle(wires, operation, outcome):
    """Waits for what an operation began, on both sides, so that what follows sees its end."""
    if outcome.status is not grpc.StatusCode.OK or operation.startswith(("Get", "List")):
        return
    if operation in ("CreateEnvironmentTemplateVersion", "CreateServiceTemplateVersion"):
        kind = operation.removeprefix("Create").removesuffix("Version")
        (version,) = outcome.answer.values()
        name, major, minor = version["templateName"], version["majorVersion"], version["minorVersion"]
        ends = {registered(wire, kind, name, major, minor) for wire in wires}
        assert len(ends) == 1, f"{kind} {name} {major}.{minor} is {ends}"
    for wire in wires:
        quiet(wire)
