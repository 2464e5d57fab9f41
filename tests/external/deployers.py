"""Clients that have things deployed, changed, stopped and taken down, and note what they know. Each has names of its own."""

import random
import time
from pathlib import Path
from typing import Any

import grpc
import yaml

from cluster import Client
from deeds import Ask, Deeds
from facts import ABSENT, Fact, Facts
from server import ENVIRONMENT_BUNDLE, SERVICE_BUNDLE, put_bundle
from wires import NoAnswer, Outcome
from world import ACCOUNT, ARN, CONNECTION, ROLE
from writers import BUCKET, CONFLICT, CONFLICT_OR_INVALID, SHARED, Writer

# Templates of services, and of environments that somebody else provisions and notifies of.
DEPLOYED = "deployed"
HANDED = "handed"

# Bundles whose outputs are what was asked for.
OF_PART = {"instance": "service_instance.inputs.port", "pipeline": "pipeline.inputs.branch"}
BUNDLES = {
    ("ServiceTemplate", DEPLOYED): {
        name: text.replace("service.name", OF_PART.get(name.partition("_")[0], ""))
        for name, text in SERVICE_BUNDLE.items()
    },
    ("EnvironmentTemplate", HANDED): {
        "schema/schema.yaml": ENVIRONMENT_BUNDLE["schema/schema.yaml"],
        "infrastructure/manifest.yaml": """\
infrastructure:
  templates:
    - file: "*"
      rendering_engine: hcl
      template_language: terraform
""",
        "infrastructure/main.tf": "# What is made of ${var.environment.inputs.cidr} is nobody's business.\n",
    },
}

REPOSITORY = {"name": "a/b", "provider": "BITBUCKET"}
OF_SERVICE = {"repositoryConnectionArn": CONNECTION, "repositoryId": "a/b", "branchName": "main"}
ROLES = {"protonServiceRoleArn": ROLE, "componentRoleArn": ROLE}

# How many of a sort a client has at most.
MOST = {"environment": 2, "handed": 1, "service": 2, "component": 2, "connection": 3}

# How often a client does what.
DEPLOYING = {
    "create_environment": 3,
    "update_environment": 5,
    "delete_environment": 1,
    "create_service": 3,
    "edit_service": 3,
    "update_instance": 4,
    "update_pipeline": 2,
    "delete_service": 1,
    "create_component": 2,
    "update_component": 3,
    "delete_component": 1,
    "create_handed": 1,
    "notify": 2,
    "delete_handed": 1,
    "create_connection": 2,
    "decide_connection": 3,
    "delete_connection": 1,
}

STATUSES = ("status", "deploymentStatus")
BUSY = {"IN_PROGRESS", "DELETE_IN_PROGRESS", "CANCELLING", "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}
IDLE_SECONDS = 2.5


def put_deployed_bundles(bundles: Path) -> None:
    for (kind, name), bundle in BUNDLES.items():
        put_bundle(bundles, BUCKET, f"{kind}/{name}", bundle)


def environment_spec(marker: str) -> str:
    return f"proton: EnvironmentSpec\nspec:\n  cidr: {marker}\n"


def template_file(marker: str) -> str:
    return f"Resources:\n  Queue:\n    Type: AWS::SQS::Queue\nOutputs:\n  Name:\n    Value: {marker}\n"


class Deployer(Writer):
    def __init__(self, client: str, wire: Client, facts: Facts, deeds: Deeds, rng: random.Random):
        super().__init__(client, wire, facts, rng)
        self.deeds = deeds

    def own(self, sort: str) -> list[str]:
        """The names of what this client has of a sort."""
        facts = self.facts.known("environment" if sort == "handed" else sort)
        return [fact[1] for fact in facts if fact[1].startswith(f"{self.client}-{sort}")]

    def pick(self, sort: str) -> str | None:
        return self.rng.choice(self.own(sort) or [None])

    def new(self, sort: str) -> str | None:
        if len(self.own(sort)) < MOST[sort]:
            return f"{self.client}-{sort}-{self.facts.serial()}"
        return None

    def marker(self) -> str:
        return f"m{self.facts.serial()}"

    def deploy(
        self,
        fact: Fact,
        value: Any,
        operation: str,
        request: dict[str, Any],
        asks: list[Ask],
        *,
        once: bool = False,
        refusals: frozenset[str] = CONFLICT,
    ) -> bool:
        """A write that begins deployments: once, however often it is repeated, or each time."""
        least = most = 0
        try:
            made = self.write(fact, value, operation, request, refusals)
            least = most = int(made)
            return made
        except NoAnswer:
            most = 1
            raise
        finally:
            tries = 1 if once else max(1, self.wire.tries)
            self.deeds.bound(asks, least, most * tries)

    def read(self, operation: str, **request: Any) -> dict[str, Any] | None:
        """What there is, once nothing happens to it or after a while."""
        deadline = time.monotonic() + IDLE_SECONDS * (self.rng.random() < 0.8)
        while True:
            outcome = self.wire.call(operation, request)
            if outcome.status is not grpc.StatusCode.OK:
                return None
            (found,) = outcome.answer.values()
            statuses = {of.get(status) for of in (found, found.get("pipeline", {})) for status in STATUSES}
            if not statuses & BUSY or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def perhaps_cancel(self, target: str, operation: str, request: dict[str, Any]) -> None:
        if self.rng.random() < 0.3:
            self.deeds.cancelled.add(target)
            self.told(operation, self.wire.call(operation, request))

    def told(self, operation: str, outcome: Outcome) -> None:
        if outcome.status is grpc.StatusCode.OK:
            self.facts.count("acknowledged")
        elif outcome.aws_code not in CONFLICT:
            self.facts.violate("wrong", f"{operation}: {outcome}")

    # Environments

    def create_environment(self) -> None:
        if name := self.new("environment"):
            marker, description = self.marker(), f"made {self.facts.serial()}"
            request = {"name": name, "description": description, "spec": environment_spec(marker), **ROLES}
            request |= {"templateName": SHARED, "templateMajorVersion": "1", "templateMinorVersion": "0"}
            target = f"environment/{name}"
            self.deploy(("environment", name), description, "CreateEnvironment", request, [(target, marker)], once=True)

    def update_environment(self) -> None:
        name = self.pick("environment")
        if name and self.read("GetEnvironment", name=name):
            marker, description, target = self.marker(), f"changed {self.facts.serial()}", f"environment/{name}"
            request = {"name": name, "description": description, "deploymentType": "NONE"}
            if self.rng.random() < 0.3:
                self.write(("environment", name), description, "UpdateEnvironment", request, CONFLICT)
                return
            request |= {"deploymentType": "CURRENT_VERSION", "spec": environment_spec(marker)}
            if self.deploy(("environment", name), description, "UpdateEnvironment", request, [(target, marker)]):
                self.perhaps_cancel(target, "CancelEnvironmentDeployment", {"environmentName": name})

    def delete_environment(self) -> None:
        name = self.pick("environment")
        if name and self.read("GetEnvironment", name=name):
            self.write(("environment", name), ABSENT, "DeleteEnvironment", {"name": name}, CONFLICT)

    def deployed_environment(self) -> str | None:
        name = self.pick("environment")
        found = name and self.read("GetEnvironment", name=name)
        return name if found and "lastSucceededDeploymentId" in found else None

    # Services

    def create_service(self) -> None:
        if (name := self.new("service")) and (environment := self.deployed_environment()):
            instances = ["i", "j"][: self.rng.randint(1, 2)]
            spec = {"proton": "ServiceSpec", "pipeline": {"branch": self.marker()}, "instances": []}
            spec["instances"] = [self.instance(instance, environment) for instance in instances]
            description = f"made {self.facts.serial()}"
            request = {"name": name, "description": description, "spec": yaml.safe_dump(spec), **OF_SERVICE}
            request |= {"templateName": DEPLOYED, "templateMajorVersion": "1", "templateMinorVersion": "0"}
            asks = [(part(name, section["name"]), str(section["spec"]["port"])) for section in spec["instances"]]
            asks.append((part(name), spec["pipeline"]["branch"]))
            self.deploy(("service", name), (description, tuple(instances)), "CreateService", request, asks, once=True)

    def instance(self, name: str, environment: str) -> dict[str, Any]:
        return {"name": name, "environment": environment, "spec": {"port": self.facts.serial()}}

    def spec(self, service: str | None) -> dict[str, Any] | None:
        found = service and self.read("GetService", name=service)
        return yaml.safe_load(found["spec"]) if found else None

    def edit_service(self) -> None:
        """Adds an instance, or takes it away."""
        name = self.pick("service")
        if spec := self.spec(name):
            sections, asks = spec["instances"], []
            if sections[-1]["name"] == "k":
                sections.pop()
            else:
                sections.append(self.instance("k", sections[0]["environment"]))
                asks = [(part(name, "k"), str(sections[-1]["spec"]["port"]))]
            description = f"changed {self.facts.serial()}"
            request = {"name": name, "description": description, "spec": yaml.safe_dump(spec)}
            value = (description, tuple(section["name"] for section in sections))
            # An instance may have come into another state since.
            self.deploy(("service", name), value, "UpdateService", request, asks, refusals=CONFLICT_OR_INVALID)

    def update_instance(self) -> None:
        name = self.pick("service")
        if spec := self.spec(name):
            section = self.rng.choice(spec["instances"])
            section["spec"]["port"] = self.facts.serial()
            named = {"name": section["name"], "serviceName": name}
            request = {**named, "deploymentType": "CURRENT_VERSION", "spec": yaml.safe_dump(spec)}
            request["clientToken"] = self.marker()
            fact, target = ("service", name), part(name, section["name"])
            asks = [(target, str(section["spec"]["port"]))]
            if self.deploy(fact, self.facts.value(fact), "UpdateServiceInstance", request, asks, once=True):
                cancelled = {"serviceName": name, "serviceInstanceName": section["name"]}
                self.perhaps_cancel(target, "CancelServiceInstanceDeployment", cancelled)

    def update_pipeline(self) -> None:
        name = self.pick("service")
        if spec := self.spec(name):
            spec["pipeline"]["branch"] = self.marker()
            request = {"serviceName": name, "deploymentType": "CURRENT_VERSION", "spec": yaml.safe_dump(spec)}
            fact, asks = ("service", name), [(part(name), spec["pipeline"]["branch"])]
            if self.deploy(fact, self.facts.value(fact), "UpdateServicePipeline", request, asks):
                self.perhaps_cancel(part(name), "CancelServicePipelineDeployment", {"serviceName": name})

    def delete_service(self) -> None:
        name = self.pick("service")
        if self.spec(name):
            self.write(("service", name), ABSENT, "DeleteService", {"name": name}, CONFLICT)

    # Components

    def create_component(self) -> None:
        if (name := self.new("component")) and (environment := self.deployed_environment()):
            marker, description = self.marker(), f"made {self.facts.serial()}"
            request = {"name": name, "description": description, "environmentName": environment, "clientToken": marker}
            request["manifest"] = ENVIRONMENT_BUNDLE["infrastructure/manifest.yaml"]
            request["templateFile"] = template_file(marker)
            asks = [(f"component/{name}", marker)]
            self.deploy(("component", name), description, "CreateComponent", request, asks, once=True)

    def update_component(self) -> None:
        name = self.pick("component")
        if name and self.read("GetComponent", name=name):
            marker, description, target = self.marker(), f"changed {self.facts.serial()}", f"component/{name}"
            request = {"name": name, "description": description, "deploymentType": "CURRENT_VERSION"}
            request |= {"templateFile": template_file(marker), "clientToken": marker}
            if self.deploy(("component", name), description, "UpdateComponent", request, [(target, marker)], once=True):
                self.perhaps_cancel(target, "CancelComponentDeployment", {"componentName": name})

    def delete_component(self) -> None:
        name = self.pick("component")
        if name and self.read("GetComponent", name=name):
            self.write(("component", name), ABSENT, "DeleteComponent", {"name": name}, CONFLICT)

    # Environments that somebody else provisions

    def create_handed(self) -> None:
        if name := self.new("handed"):
            marker, description = self.marker(), f"made {self.facts.serial()}"
            request = {"name": name, "description": description, "spec": environment_spec(marker)}
            request |= {"templateName": HANDED, "templateMajorVersion": "1", "templateMinorVersion": "0"}
            request["provisioningRepository"] = {**REPOSITORY, "branch": "main"}
            asks = [(f"environment/{name}", marker)]
            self.deploy(("environment", name), description, "CreateEnvironment", request, asks, once=True)

    def notify(self) -> None:
        name = self.pick("handed")
        if name and self.facts.value(("notified", name)) is ABSENT:
            outcome = self.wire.call("GetEnvironment", {"name": name})
            deployment, marker = outcome.answer["environment"]["lastAttemptedDeploymentId"], self.marker()
            request = {"resourceArn": f"{ARN}:environment/{name}", "deploymentId": deployment, "status": "SUCCEEDED"}
            request["outputs"] = [{"key": "Name", "valueString": marker}]
            # As long as it is not rendered there is nothing to notify of.
            self.write(("notified", name), marker, "NotifyResourceDeploymentStatusChange", request, CONFLICT)

    def delete_handed(self) -> None:
        name = self.pick("handed")
        if name and self.facts.value(("notified", name)) is not ABSENT:
            self.write(("environment", name), ABSENT, "DeleteEnvironment", {"name": name}, CONFLICT)

    # Connections between accounts, or of one with itself

    def create_connection(self) -> None:
        if name := self.new("connection"):
            request = {"environmentName": name, "managementAccountId": ACCOUNT, "roleArn": ROLE, "clientToken": name}
            self.write(("connection", name), "PENDING", "CreateEnvironmentAccountConnection", request)

    def decide_connection(self) -> None:
        if (name := self.pick("connection")) and (found := self.connection(name)):
            status = self.facts.value(("connection", name))
            accepts = status != "REJECTED" and self.rng.random() < 0.6
            verb, decided = ("Accept", "CONNECTED") if accepts else ("Reject", "REJECTED")
            self.write(("connection", name), decided, f"{verb}EnvironmentAccountConnection", {"id": found})

    def delete_connection(self) -> None:
        if (name := self.pick("connection")) and (found := self.connection(name)):
            self.write(("connection", name), ABSENT, "DeleteEnvironmentAccountConnection", {"id": found})

    def connection(self, environment: str) -> str | None:
        """The id of the connection for an environment."""
        request = {"requestedBy": "ENVIRONMENT_ACCOUNT", "environmentName": environment}
        outcome = self.wire.call("ListEnvironmentAccountConnections", request)
        found = outcome.answer["environmentAccountConnections"] if outcome.answer else []
        self.facts.check("duplicated", len(found) <= 1, f"there are {len(found)} connections for {environment}")
        return found[0]["id"] if found else None


def part(service: str, instance: str | None = None) -> str:
    """How the ARN of an instance or of the pipeline of a service ends."""
    return f"service/{service}/service-instance/{instance}" if instance else f"service/{service}/pipeline"
