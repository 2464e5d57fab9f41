"""Reads everything that is deployed, once that has come to rest, and compares it with what clients asked for, and with
itself."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Iterator

import yaml
from botocore.exceptions import ClientError

from deeds import Ask, Deeds
from deployers import BUSY, part
from facts import ABSENT, Fact, Facts
from wires import AwsJson
from world import must

# Longer than the lease of a process that died, and all the work that a deletion of a service is.
REST_SECONDS = 100

# How long after a deployment got its id it may become visible, a stop of the database included.
LATE = timedelta(seconds=90)

# What does not change any more once a deployment has ended.
ENDING = ("deploymentStatus", "completedAt", "lastModifiedAt")

ENDED = {"SUCCEEDED", "CANCELLED", "DELETE_COMPLETE"}


class Deployed:
    """What there is, by the end of its ARN."""

    def __init__(self, wire: AwsJson):
        self.wire = wire
        self.environments = named(wire.entries("ListEnvironments", {}))
        self.components = named(wire.entries("ListComponents", {}))
        services = named(wire.entries("ListServices", {}))
        self.services = {name: wire.client.get_service(name=name)["service"] for name in services}
        self.instances = list(wire.entries("ListServiceInstances", {}))
        asked = {"requestedBy": "ENVIRONMENT_ACCOUNT"}
        self.connections = list(wire.entries("ListEnvironmentAccountConnections", asked))

    def targets(self) -> Iterator[tuple[str, dict[str, Any], str, dict[str, str]]]:
        """Each with how its lists are called."""
        for name, found in self.environments.items():
            yield f"environment/{name}", found, "Environment", {"environmentName": name}
        for name, found in self.components.items():
            yield f"component/{name}", found, "Component", {"componentName": name}
        for found in self.instances:
            service, name = found["serviceName"], found["name"]
            yield part(service, name), found, "ServiceInstance", {"serviceName": service, "serviceInstanceName": name}
        for name, found in self.services.items():
            if "pipeline" in found:
                yield part(name), found["pipeline"], "ServicePipeline", {"serviceName": name}

    def busy(self) -> list[str]:
        """What something still happens to, but for what waits for its notification."""
        busy = [name for name, found in self.services.items() if found["status"].endswith("IN_PROGRESS")]
        for target, found, *_ in self.targets():
            if found["deploymentStatus"] in BUSY and not (is_handed(target) and found["deploymentStatus"] == "IN_PROGRESS"):
                busy.append(target)
        return busy

    def counts(self) -> dict[str, int]:
        """What the summary of the account has to count."""
        pipelines = sum("pipeline" in found for found in self.services.values())
        counted = {"environments": self.environments, "components": self.components, "services": self.services}
        counts = {what: len(found) for what, found in counted.items()}
        return {**counts, "serviceInstances": len(self.instances), "pipelines": pipelines}

    def values(self, facts: Facts) -> dict[Fact, Any]:
        values: dict[Fact, Any] = {}
        for name, found in self.environments.items():
            values["environment", name] = found["description"]
            if is_handed(f"environment/{name}") and found["deploymentStatus"] == "SUCCEEDED":
                values["notified", name] = outputs(self.wire, "Environment", {"environmentName": name}).get("Name")
        for name in self.components:
            values["component", name] = must(self.wire, "GetComponent", name=name)["component"]["description"]
        for name, found in self.services.items():
            instances = tuple(sorted(instance["name"] for instance in self.instances if instance["serviceName"] == name))
            values["service", name] = (found["description"], instances)
            facts.check("wrong", found["status"] == "ACTIVE", f"service {name} is {found}")
        for found in self.connections:
            fact = ("connection", found["environmentName"])
            facts.check("duplicated", fact not in values, f"{fact} is there twice")
            values[fact] = found["status"]
        return values


def named(found: Iterator[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in found}


def is_handed(target: str) -> bool:
    return "-handed-" in target


def outputs(wire: AwsJson, sort: str, named: dict[str, str]) -> dict[str, str]:
    return {output["key"]: output["valueString"] for output in wire.entries(f"List{sort}Outputs", named)}


def at_rest(wire: AwsJson, facts: Facts) -> Deployed:
    """What is deployed once everything that was begun has ended."""
    deadline = time.monotonic() + REST_SECONDS
    while True:
        try:
            deployed = Deployed(wire)
            busy = deployed.busy()
        except ClientError:
            # A service has gone between two calls.
            busy = ["a service that went away"]
        if not busy:
            facts.count("verified")
            return deployed
        assert time.monotonic() < deadline, f"after {REST_SECONDS} s something still happens to {busy}"
        time.sleep(0.1)


class Ledger:
    """All deployments that were ever seen, and what follows from them."""

    def __init__(self, facts: Facts, deeds: Deeds):
        self.facts, self.deeds = facts, deeds
        # By id, with their markers; of those that have not ended also which.
        self.deployments: dict[str, dict[str, Any]] = {}
        self.open: set[str] = set()
        # The deployment after each one, and the first of each target.
        self.next: dict[tuple[Any, ...], str] = {}
        self.begun: Counter[Ask] = Counter()
        self.stacks: dict[tuple[str, Any], tuple[str, str]] = {}
        self.looked_at = datetime.now(UTC)

    def look(self, deployed: Deployed, completely: bool) -> None:
        client, began = deployed.wire.client, datetime.now(UTC)
        seen = {found["id"]: found for found in listed(client, None if completely else self.looked_at - LATE)}
        if completely:
            lost = self.deployments.keys() - seen
            self.facts.check("lost", not lost, f"deployments are gone: {lost}")
        seen |= {id: client.get_deployment(id=id)["deployment"] for id in self.open - seen.keys()}
        begun = {self.begin(client.get_deployment(id=id)["deployment"]) for id in seen.keys() - self.deployments.keys()}
        for id, found in seen.items():
            if id in self.open:
                self.end(found)
            else:
                same = all(self.deployments[id].get(member) == found.get(member) for member in ENDING)
                self.facts.check("duplicated", same, f"a deployment ended twice, as {self.deployments[id]} and as {found}")
        self.check_bounds(begun)
        for target, found, sort, asked in deployed.targets():
            self.check_target(deployed.wire, target, found, sort, asked)
        self.looked_at = began

    def begin(self, found: dict[str, Any]) -> Ask:
        """Notes a deployment that was not there before. Each follows another one, so those of a resource are a chain."""
        id, target = found["id"], name_of(found)
        self.deployments[id] = {**found, "marker": marker(found)}
        self.open.add(id)
        other = self.next.setdefault(link(found, found.get("lastAttemptedDeploymentId")), id)
        self.facts.check("duplicated", other == id, f"deployments {other} and {id} both follow the same")
        ask = (target, self.deployments[id]["marker"])
        self.begun[ask] += 1
        return ask

    def end(self, found: dict[str, Any]) -> None:
        status, target = found["deploymentStatus"], name_of(found)
        self.deployments[found["id"]] |= {member: found.get(member) for member in ENDING}
        if status in BUSY:
            self.facts.check("wrong", is_handed(target), f"a deployment did not end: {found}")
            return
        self.open.discard(found["id"])
        rightly = status in ENDED and (status != "CANCELLED" or target in self.deeds.cancelled) and "completedAt" in found
        self.facts.check("wrong", rightly, f"a deployment ended wrongly: {self.deployments[found['id']]}")

    def check_bounds(self, begun: set[Ask]) -> None:
        """Every call began as many deployments as it may have. What has not come by now will never come."""
        for ask in self.deeds.unsettled() | begun:
            least, most = self.deeds.bounds.get(ask, (0, 0))
            number = self.begun[ask]
            # What takes something down has no marker, and editing a service deploys its pipeline as it is.
            most = number if ask[1] is None or ask[0].endswith("/pipeline") else most
            self.facts.check("lost", number >= least, f"{ask} was acknowledged and is not there")
            self.facts.check("duplicated", number <= most, f"{ask} is there {number} times, not {most}")
            self.deeds.settle(ask, number)

    def check_target(self, wire: AwsJson, target: str, found: dict[str, Any], sort: str, asked: dict[str, str]) -> None:
        attempted, succeeded = found["lastAttemptedDeploymentId"], found.get("lastSucceededDeploymentId")
        latest = self.deployments[attempted]
        followed = link(latest, attempted) in self.next
        self.facts.check("lost", not followed, f"{target} does not know of the deployment after {attempted}")
        chain = (self.deployments[id] for id in self.back_from(attempted))
        last = next((entry["id"] for entry in chain if entry["deploymentStatus"] == "SUCCEEDED"), None)
        self.facts.check("wrong", last == succeeded, f"{target} shows the success of {succeeded}, the last is {last}")
        if not succeeded or is_handed(target):
            return
        told, expected = outputs(wire, sort, asked), {"Name": self.deployments[succeeded]["marker"]}
        self.facts.check("wrong", told == expected, f"{target} puts out {told}, not {expected}")
        stacks = [(stack["name"], stack["identifier"]) for stack in wire.entries(f"List{sort}ProvisionedResources", asked)]
        first = self.stacks.setdefault((target, latest["targetResourceCreatedAt"]), stacks[0])
        self.facts.check("duplicated", stacks == [first], f"{target} is made of {stacks}, and was of {first}")

    def back_from(self, id: str | None) -> Iterator[str]:
        while id:
            yield id
            id = self.deployments[id].get("lastAttemptedDeploymentId")


def listed(client: Any, since: datetime | None) -> Iterator[dict[str, Any]]:
    """Deployments, the latest first."""
    for page in client.get_paginator("list_deployments").paginate():
        yield from page["deployments"]
        if since and page["deployments"] and page["deployments"][-1]["createdAt"] < since:
            return


def name_of(deployment: dict[str, Any]) -> str:
    return deployment["targetArn"].split(":", 5)[5]


def link(deployment: dict[str, Any], before: str | None) -> tuple[Any, ...]:
    return (deployment["targetArn"], deployment["targetResourceCreatedAt"], before)


def marker(deployment: dict[str, Any]) -> str | None:
    """Which call began a deployment, as what it asks for tells; none if it takes something down."""
    match deployment.get("targetState", {}):
        case {"environment": state}:
            return yaml.safe_load(state["spec"])["spec"]["cidr"]
        case {"serviceInstance": state}:
            sections = {section["name"]: section for section in yaml.safe_load(state["spec"])["instances"]}
            return str(sections[deployment["serviceInstanceName"]]["spec"]["port"])
        case {"servicePipeline": state}:
            return yaml.safe_load(state["spec"])["pipeline"]["branch"]
        case {"component": state}:
            return yaml.safe_load(state["templateFile"])["Outputs"]["Name"]["Value"]
    return None
