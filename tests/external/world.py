"""What a server knows, and how tests bring it there."""

import time
from typing import Any

import grpc

from server import ENVIRONMENT_BUNDLE, SERVICE_BUNDLE, Server
from wires import AwsJson, Grpc

ACCOUNT = "000000000000"
ARN = f"arn:aws:proton:us-east-1:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/a"
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
DEPLOYMENT_SECONDS = 20

SERVICE_SPEC = """\
proton: ServiceSpec
pipeline:
  branch: main
instances:
  - name: i
    environment: e
    spec:
      port: 80
"""
SPECS = {
    "environment": "proton: EnvironmentSpec\nspec:\n  cidr: 10.1.0.0/16\n",
    "service": SERVICE_SPEC,
    "two": f"{SERVICE_SPEC}  - name: j\n    environment: e\n",
}
COMPONENT = {
    "manifest": ENVIRONMENT_BUNDLE["infrastructure/manifest.yaml"],
    "templateFile": "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\nOutputs:\n  Name:\n    Value: '{{ component.name }}'\n",
}


def put_bundles(server: Server) -> None:
    server.put_bundle("bundles", "environment.tar.gz", ENVIRONMENT_BUNDLE)
    server.put_bundle("bundles", "service.tar.gz", SERVICE_BUNDLE)


def must(wire: AwsJson | Grpc, operation: str, **request: Any) -> dict[str, Any]:
    """The answer of a call that has to succeed."""
    outcome = wire.call(operation, request)
    assert outcome.status is grpc.StatusCode.OK, f"{operation}: {outcome}"
    return outcome.answer


def populate(wire: AwsJson | Grpc) -> None:
    """Templates, and what is deployed from them."""
    populate_templates(wire)
    deploy(wire)


def populate_templates(wire: AwsJson | Grpc) -> None:
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


def deploy(wire: AwsJson | Grpc) -> None:
    """An environment `e`, in it a service `s` with the instance `i` and a pipeline, and a component `c`."""
    template = {"templateName": "a", "templateMajorVersion": "1"}
    roles = {"protonServiceRoleArn": ROLE, "componentRoleArn": ROLE}
    must(wire, "UpdateAccountSettings", pipelineServiceRoleArn=ROLE)
    must(wire, "CreateEnvironment", name="e", **template, spec=SPECS["environment"], **roles)
    quiet(wire)
    repository = {"repositoryConnectionArn": CONNECTION, "repositoryId": "a/b", "branchName": "main"}
    must(wire, "CreateService", name="s", **template, spec=SPECS["service"], **repository)
    quiet(wire)
    must(wire, "CreateComponent", name="c", environmentName="e", **COMPONENT)
    quiet(wire)


def quiet(wire: AwsJson | Grpc) -> None:
    """Waits until nothing is being deployed."""
    deadline = time.monotonic() + DEPLOYMENT_SECONDS
    while busy := [status for status in statuses(wire) if status.endswith("IN_PROGRESS") or status == "CANCELLING"]:
        assert time.monotonic() < deadline, f"still {busy} after {DEPLOYMENT_SECONDS} s"
        time.sleep(0.02)


def statuses(wire: AwsJson | Grpc) -> list[str]:
    """The status of everything that is deployed."""
    seen = [environment["deploymentStatus"] for environment in must(wire, "ListEnvironments")["environments"]]
    seen += [component["deploymentStatus"] for component in must(wire, "ListComponents")["components"]]
    seen += [instance["deploymentStatus"] for instance in must(wire, "ListServiceInstances")["serviceInstances"]]
    for service in must(wire, "ListServices")["services"]:
        found = wire.call("GetService", {"name": service["name"]})
        if found.status is grpc.StatusCode.OK:
            seen.append(found.answer["service"]["status"])
            seen += [found.answer["service"].get("pipeline", {}).get("deploymentStatus", "")]
    return seen


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
    for environment in read("ListEnvironments")["environments"]:
        read("GetEnvironment", name=environment["name"])
        read("ListEnvironmentOutputs", environmentName=environment["name"])
        read("ListEnvironmentProvisionedResources", environmentName=environment["name"])
        read("ListTagsForResource", resourceArn=environment["arn"])
    for service in read("ListServices")["services"]:
        pipeline = read("GetService", name=service["name"])["service"].get("pipeline")
        if pipeline:
            read("ListServicePipelineOutputs", serviceName=service["name"])
            read("ListServicePipelineProvisionedResources", serviceName=service["name"])
            read("ListTagsForResource", resourceArn=pipeline["arn"])
        read("ListTagsForResource", resourceArn=service["arn"])
    for instance in read("ListServiceInstances")["serviceInstances"]:
        named = {"serviceName": instance["serviceName"], "serviceInstanceName": instance["name"]}
        read("GetServiceInstance", serviceName=instance["serviceName"], name=instance["name"])
        read("ListServiceInstanceOutputs", **named)
        read("ListServiceInstanceProvisionedResources", **named)
        read("ListTagsForResource", resourceArn=instance["arn"])
    for component in read("ListComponents")["components"]:
        read("GetComponent", name=component["name"])
        read("ListComponentOutputs", componentName=component["name"])
        read("ListTagsForResource", resourceArn=component["arn"])
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
