"""boto3's waiters and paginators over the AWS-JSON endpoint, and their gRPC streams, see the same resources."""

import pytest
from botocore import xform_name
from botocore.exceptions import WaiterError

import contract
from model import OPERATIONS, PAGINATORS, WAITERS
from wires import AwsJson
from world import COMPATIBLE, ENVIRONMENT_SOURCE, KINDS, SERVICE_SOURCE, must, populate, put_bundles, registered

QUICKLY = {"Delay": 1, "MaxAttempts": 20}
BROKEN_SOURCE = {"s3": {"bucket": "bundles", "key": "broken.tar.gz"}}

CREATIONS = {
    "EnvironmentTemplate": {"source": ENVIRONMENT_SOURCE},
    "ServiceTemplate": {"source": SERVICE_SOURCE, "compatibleEnvironmentTemplates": COMPATIBLE},
}

of_each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def wire(start):
    """A server with templates `a`, and a bundle that cannot be registered."""
    wire = AwsJson(start())
    populate(wire)
    wire.server.put_bundle("bundles", "broken.tar.gz", {"README.md": "neither schema nor infrastructure"})
    return wire


def create_version(wire, kind, **changes) -> dict[str, str]:
    """Begins a registration and returns what names the version."""
    created = must(wire, f"Create{kind}Version", templateName="a", **{**CREATIONS[kind], **changes})
    version = created[f"{KINDS[kind][0]}Version"]
    assert version["status"] == "REGISTRATION_IN_PROGRESS"
    return {member: version[member] for member in ("templateName", "majorVersion", "minorVersion")}


def waiter(wire, kind):
    return wire.client.get_waiter(f"{KINDS[kind][1].replace('-', '_')}_version_registered")


def stream(wire, name, request):
    """The messages of a server stream, from AWS's form of the request, in AWS's form."""
    stub = contract.stub_class(contract.STREAMING_SERVICE)(wire.server.channel)
    operation = WAITERS[name.removeprefix("WaitUntil")]["operation"] if name.startswith("WaitUntil") else name
    messages = getattr(stub, name)(contract.request(name, request, contract.STREAMING_SERVICE), timeout=20)
    return [contract.to_aws(message, OPERATIONS[operation]["output"]) for message in messages]


@of_each_kind
def test_boto3_waits_until_a_version_is_registered(wire, kind):
    version = create_version(wire, kind)
    waiter(wire, kind).wait(**version, WaiterConfig=QUICKLY)

    registered = must(wire, f"Get{kind}Version", **version)[f"{KINDS[kind][0]}Version"]
    assert registered["status"] == "DRAFT"
    assert registered["schema"]


@of_each_kind
def test_boto3_stops_waiting_when_registration_fails(wire, kind):
    version = create_version(wire, kind, source=BROKEN_SOURCE)
    with pytest.raises(WaiterError) as error:
        waiter(wire, kind).wait(**version, WaiterConfig=QUICKLY)

    failed = error.value.last_response[f"{KINDS[kind][0]}Version"]
    assert failed["status"] == "REGISTRATION_FAILED"
    assert failed["statusMessage"]


@of_each_kind
def test_the_stream_of_a_wait_ends_with_the_registered_version(wire, kind):
    version = create_version(wire, kind)
    states = stream(wire, f"WaitUntil{kind}VersionRegistered", version)

    assert states[-1] == must(wire, f"Get{kind}Version", **version)
    assert states[-1][f"{KINDS[kind][0]}Version"]["status"] == "DRAFT"


@pytest.mark.parametrize("page", [1, 2, 100])
@pytest.mark.parametrize(
    "operation",
    [
        "ListEnvironmentTemplates",
        "ListServiceTemplates",
        "ListEnvironmentTemplateVersions",
        "ListServiceTemplateVersions",
        "ListTagsForResource",
    ],
)
def test_pages_of_boto3_and_of_the_stream_are_equal(many, operation, page):
    wire, requests = many
    key = PAGINATORS[operation]["result_key"]
    paginator = wire.client.get_paginator(xform_name(operation))
    pages = paginator.paginate(**requests[operation], PaginationConfig={"PageSize": page})
    paged = [contract.normalized(answer, OPERATIONS[operation]["output"]) for answer in map(without_metadata, pages)]
    streamed = stream(wire, operation, {**requests[operation], "maxResults": page})
    whole = must(wire, operation, **requests[operation])[key]

    assert streamed == paged
    assert len(whole) == 5
    assert [entry for answer in paged for entry in answer[key]] == whole
    assert [len(answer[key]) for answer in paged] == [min(page, 5 - start) for start in range(0, 5, page)]


def without_metadata(answer):
    return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


@pytest.fixture(scope="module")
def many(server):
    """Five of everything that is listed, and the requests that list it."""
    wire = AwsJson(server)
    put_bundles(server)
    # Two more are set by the service.
    tags = [{"key": f"key-{number}", "value": str(number)} for number in range(3)]
    for kind, creation in CREATIONS.items():
        for name in "abcde":
            template = must(wire, f"Create{kind}", name=name, tags=tags)
        for major in "12345":
            must(wire, f"Create{kind}Version", templateName="a", **creation)
            registered(wire, kind, "a", major, "0")
    return wire, {
        "ListEnvironmentTemplates": {},
        "ListServiceTemplates": {},
        "ListEnvironmentTemplateVersions": {"templateName": "a"},
        "ListServiceTemplateVersions": {"templateName": "a"},
        "ListTagsForResource": {"resourceArn": template["serviceTemplate"]["arn"]},
    }
