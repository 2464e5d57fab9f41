"""What a server knows, and how tests bring it there."""

import time
from typing import Any

import grpc

from server import ENVIRONMENT_BUNDLE, SERVICE_BUNDLE, Server
from wires import AwsJson, Grpc

ACCOUNT = "000000000000"
ARN = f"arn:aws:proton:us-east-1:{ACCOUNT}"
CONNECTION = f"arn:aws:codestar-connections:us-east-1:{ACCOUNT}:connection/a"
ENVIRONMENT_SOURCE = {"s3": {"bucket": "bundles", "key": "environment.tar.gz"}}
SERVICE_SOURCE = {"s3": {"bucket": "bundles", "key": "service.tar.gz"}}
COMPATIBLE = [{"templateName": "a", "majorVersion": "1"}]

# How a kind of template is called in operations, members and ARNs.
KINDS = {
    "EnvironmentTemplate": ("environmentTemplate", "environment-template"),
    "ServiceTemplate": ("serviceTemplate", "service-template"),
}

REGISTRATION_SECONDS = 20


def put_bundles(server: Server) -> None:
    server.put_bundle("bundles", "environment.tar.gz", ENVIRONMENT_BUNDLE)
    server.put_bundle("bundles", "service.tar.gz", SERVICE_BUNDLE)


def must(wire: AwsJson | Grpc, operation: str, **request: Any) -> dict[str, Any]:
    """The answer of a call that has to succeed."""
    outcome = wire.call(operation, request)
    assert outcome.status is grpc.StatusCode.OK, f"{operation}: {outcome}"
    return outcome.answer


def populate(wire: AwsJson | Grpc) -> None:
    """An environment and a service template `a`, each with versions 1.0 (published) and 1.1 (draft), and tags; a linked
    repository, and a connection that the account asks itself to accept."""
    put_bundles(wire.server)
    must(wire, "CreateRepository", name="a/b", provider="BITBUCKET", connectionArn=CONNECTION)
    must(wire, "CreateEnvironmentAccountConnection", environmentName="populated", managementAccountId=ACCOUNT)
    for kind, extra in {
        "EnvironmentTemplate": {"source": ENVIRONMENT_SOURCE},
        "ServiceTemplate": {"source": SERVICE_SOURCE, "compatibleEnvironmentTemplates": COMPATIBLE},
    }.items():
        must(wire, f"Create{kind}", name="a", tags=[{"key": "team", "value": "blue"}])
        must(wire, f"Create{kind}Version", templateName="a", **extra)
        registered(wire, kind, "a", "1", "0")
        must(wire, f"Update{kind}Version", templateName="a", majorVersion="1", minorVersion="0", status="PUBLISHED")
        must(wire, f"Create{kind}Version", templateName="a", majorVersion="1", **extra)
        registered(wire, kind, "a", "1", "1")


def registered(wire: AwsJson | Grpc, kind: str, name: str, major: str, minor: str) -> str:
    """Waits for the end of a registration and returns the status it ended with."""
    deadline = time.monotonic() + REGISTRATION_SECONDS
    member = f"{KINDS[kind][0]}Version"
    while time.monotonic() < deadline:
        version = must(wire, f"Get{kind}Version", templateName=name, majorVersion=major, minorVersion=minor)[member]
        if version["status"] != "REGISTRATION_IN_PROGRESS":
            return version["status"]
        time.sleep(0.02)
    raise AssertionError(f"{kind} {name} {major}.{minor} is still registering after {REGISTRATION_SECONDS} s")


def state(server: Server) -> dict[str, Any]:
    """Everything that can be read from a server, by what was asked for."""
    wire = AwsJson(server)
    seen: dict[str, Any] = {}

    def read(operation: str, **request: Any) -> dict[str, Any]:
        answer = must(wire, operation, **request)
        seen[f"{operation} {request}"] = answer
        return answer

    read("GetAccountSettings")
    read("GetResourcesSummary")
    for repository in read("ListRepositories")["repositories"]:
        read("GetRepository", name=repository["name"], provider=repository["provider"])
        read("ListTagsForResource", resourceArn=repository["arn"])
    for side in ("MANAGEMENT_ACCOUNT", "ENVIRONMENT_ACCOUNT"):
        listed = read("ListEnvironmentAccountConnections", requestedBy=side)
        for connection in listed["environmentAccountConnections"]:
            read("GetEnvironmentAccountConnection", id=connection["id"])
            read("ListTagsForResource", resourceArn=connection["arn"])
    for kind in KINDS:
        for template in read(f"List{kind}s")["templates"]:
            name = template["name"]
            read(f"Get{kind}", name=name)
            read("ListTagsForResource", resourceArn=template["arn"])
            synced = {"templateName": name, "templateType": kind.removesuffix("Template").upper()}
            seen[f"sync of {synced}"] = wire.call("GetTemplateSyncConfig", synced)
            for major in read(f"List{kind}Versions", templateName=name)["templateVersions"]:
                minors = read(f"List{kind}Versions", templateName=name, majorVersion=major["majorVersion"])
                for version in minors["templateVersions"]:
                    read("ListTagsForResource", resourceArn=version["arn"])
                    parts = {part: version[part] for part in ("majorVersion", "minorVersion")}
                    read(f"Get{kind}Version", templateName=name, **parts)
    return seen
