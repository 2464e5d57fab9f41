"""Clients that change things through a network that loses replies, and know afterwards what must be there, each once.

A client does what the contract and the statuses tell it. Reads are repeated by its gRPC library, which the published service
config tells. A change that had no answer is sent again if the server knows it again, by a token or by a name. Any other
may have happened, so the client looks first.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

import contract
from deployed import listed, marker
from envoy import Envoy, configuration, endpoints
from expectations import Details
from lossy import Lossy
from server import Server
from wires import AwsJson
from world import COMPONENT, ENVIRONMENT_SOURCE, ROLE, SPECS, must, put_bundles, registered

ISTIO = Path(__file__).parent / "istio.yaml"
CLIENTS = 8
SHARE = 0.2
QUOTAS = ["--quota=templates=100000", "--quota=versions-per-template=100000"]

SERVICE_CONFIG = (contract.PROTO / "service_config.json").read_text()
TEMPLATE_FILE = COMPONENT["templateFile"]
TRIES = 100
SECONDS = 60
PAUSE = 0.01
# DEPLOYMENT_STATUS_IN_PROGRESS
IN_PROGRESS = 1
# By what the server may know a call again: a token of the client's, or the name that proxies give to a call.
KEYS = ["idempotency-key", "x-request-id"]


def lossy(directory: Path, mutations: int, seed: int = 0) -> dict[str, int]:
    """Changes things through sidecars as Istio sets them up and a network that loses a share of replies."""
    flags = [*QUOTAS, "--trust-request-id", "--retry-owner=mesh", "--log=warn"]
    with Server(directory / "server", flags=flags) as server, Lossy(server.grpc, SHARE, seed) as network:
        put_bundles(server)
        settings = configuration(ISTIO, {"INBOUND": f"{directory}/inbound.sock"})
        settings["static_resources"]["clusters"][1]["load_assignment"]["endpoints"] = endpoints(network.address)
        with Envoy(directory / "envoy", settings) as envoy, ThreadPoolExecutor(CLIENTS) as pool:
            mutators = [Mutator(f"m{number}", server, envoy.addresses["outbound"]) for number in range(CLIENTS)]
            for ended in [pool.submit(mutator.run, -(-mutations // CLIENTS)) for mutator in mutators]:
                ended.result()
            repeats = envoy.statistic("cluster.outbound.upstream_rq_retry")
        return {
            "mutations": sum(mutator.changes for mutator in mutators),
            "repeated_by_clients": sum(mutator.repeats for mutator in mutators),
            "looks": sum(mutator.looks for mutator in mutators),
            "replies": network.replies,
            "replies_lost": network.lost,
            "repeated_by_mesh": repeats,
            **check(mutators, server),
        }


class Mutator:
    """One client, with a template, an environment made from it and a component of its own."""

    def __init__(self, name: str, server: Server, address: str):
        self.name = name
        options = [("grpc.service_config", SERVICE_CONFIG), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(address, options)
        self.stub = contract.stub_class(contract.SERVICE)(self.channel)
        self.key = KEYS[0]
        self.changes = self.repeats = self.looks = 0
        # Markers of what must have been made once each, and how things must be in the end.
        self.made: list[str] = []
        self.templates: dict[str, str | None] = {name: None}
        self.tag: str | None = None
        self._prepare(AwsJson(server))

    def _prepare(self, wire: AwsJson) -> None:
        """Makes what is changed later, over a network that loses nothing."""
        must(wire, "CreateEnvironmentTemplate", name=self.name)
        must(wire, "CreateEnvironmentTemplateVersion", templateName=self.name, source=ENVIRONMENT_SOURCE)
        registered(wire, "EnvironmentTemplate", self.name, "1", "0")
        version = {"templateName": self.name, "majorVersion": "1", "minorVersion": "0"}
        must(wire, "UpdateEnvironmentTemplateVersion", **version, status="PUBLISHED")
        of = {"templateName": self.name, "templateMajorVersion": "1", "spec": SPECS["environment"]}
        must(wire, "CreateEnvironment", name=self.name, **of, protonServiceRoleArn=ROLE, componentRoleArn=ROLE)
        self.rest()
        must(wire, "CreateComponent", name=self.name, environmentName=self.name, **COMPONENT)
        self.rest()

    def run(self, changes: int) -> None:
        kinds = [self.version, self.environment, self.component, self.template, self.describe, self.label]
        for number in range(changes):
            self.key = KEYS[number // len(kinds) % len(KEYS)]
            kinds[number % len(kinds)](f"{self.name}n{number}")
            self.changes += 1

    def version(self, marker: str) -> None:
        version = {"templateName": self.name, "majorVersion": "1", "description": marker, "source": ENVIRONMENT_SOURCE}
        self.change("CreateEnvironmentTemplateVersion", marker, **version)
        self.made.append(marker)

    def environment(self, marker: str) -> None:
        spec = SPECS["environment"].replace("10.1.0.0/16", marker)
        happened = lambda: self.was_deployed(marker)
        self.change("UpdateEnvironment", marker, happened, name=self.name, deploymentType="CURRENT_VERSION", spec=spec)
        self.made.append(marker)
        self.rest()

    def component(self, marker: str) -> None:
        file = TEMPLATE_FILE.replace("{{ component.name }}", marker)
        self.change("UpdateComponent", marker, name=self.name, deploymentType="CURRENT_VERSION", templateFile=file)
        self.made.append(marker)
        self.rest()

    def template(self, marker: str) -> None:
        """Makes one, and deletes the one before."""
        self.change("CreateEnvironmentTemplate", marker, name=marker, description=marker)
        for former in self.templates:
            if former != self.name:
                self.change("DeleteEnvironmentTemplate", f"{marker}d", name=former)
        self.templates = {name: text for name, text in self.templates.items() if name == self.name} | {marker: marker}

    def describe(self, marker: str) -> None:
        happened = lambda: self.call("GetEnvironmentTemplate", name=self.name).environment_template.description == marker
        self.change("UpdateEnvironmentTemplate", marker, happened, name=self.name, description=marker)
        self.templates[self.name] = marker

    def label(self, marker: str) -> None:
        arn = self.call("GetEnvironmentTemplate", name=self.name).environment_template.arn
        self.change("TagResource", marker, resourceArn=arn, tags=[{"key": "last", "value": marker}])
        self.tag = marker

    def change(self, operation: str, name: str, happened: Callable[[], bool] | None = None, /, **request: Any) -> None:
        """Makes a change once, if it can be found out whether it `happened` or, without that, the server knows it again."""
        open_ended = False
        for attempt in range(TRIES):
            self.repeats += attempt > 0
            try:
                self.call(operation, ((self.key, name),), **request)
                return
            except grpc.RpcError as error:
                info = Details(error).info
                match error.code():
                    case grpc.StatusCode.NOT_FOUND if open_ended and operation.startswith("Delete"):
                        return
                    # Somebody else is at it, who may be an earlier attempt.
                    case grpc.StatusCode.ABORTED:
                        open_ended = True
                    case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.UNKNOWN:
                        open_ended |= info is None or info.metadata["outcome"] == "unknown"
                    case _:
                        raise
            if happened and open_ended:
                self.looks += 1
                if happened():
                    return
            time.sleep(PAUSE)
        raise AssertionError(f"{operation} {name} had no answer {TRIES} times")

    def call(self, operation: str, metadata: Iterable[tuple[str, str]] = (), **request: Any):
        asked = contract.request(operation, request)
        return getattr(self.stub, operation)(asked, metadata=tuple(metadata), timeout=SECONDS)

    def rest(self) -> None:
        """Waits until none of its deployments is under way."""
        deadline = time.monotonic() + SECONDS
        while any(found.deployment_status == IN_PROGRESS for found in self.latest()):
            assert time.monotonic() < deadline
            time.sleep(PAUSE)

    def was_deployed(self, marker: str) -> bool:
        found = [self.call("GetDeployment", id=found.id).deployment for found in self.latest()]
        return any(f"cidr: {marker}\n" in deployment.target_state.environment.spec for deployment in found)

    def latest(self) -> Iterable[Message]:
        return self.call("ListDeployments", environmentName=self.name, maxResults=3).deployments


def check(mutators: list[Mutator], server: Server) -> dict[str, int]:
    """How many changes are not there, and how many are there more than once, as the server itself tells."""
    wire = AwsJson(server)
    found = Counter(marker(wire.client.get_deployment(id=one["id"])["deployment"]) for one in listed(wire.client, None))
    figures = Counter()
    for mutator in mutators:
        template = {"templateName": mutator.name, "majorVersion": "1"}
        found.update(version.get("description") for version in wire.entries("ListEnvironmentTemplateVersions", template))
        arn = must(wire, "GetEnvironmentTemplate", name=mutator.name)["environmentTemplate"]["arn"]
        tags = {tag["key"]: tag["value"] for tag in wire.entries("ListTagsForResource", {"resourceArn": arn})}
        figures["lost"] += mutator.tag is not None and tags.get("last") != mutator.tag
    for made in (made for mutator in mutators for made in mutator.made):
        figures["lost"] += found[made] == 0
        figures["duplicated"] += max(0, found[made] - 1)
    there = {entry["name"]: entry.get("description") for entry in wire.entries("ListEnvironmentTemplates", {})}
    wanted = {name: text for mutator in mutators for name, text in mutator.templates.items()}
    figures["lost"] += sum(there.get(name) != text for name, text in wanted.items())
    figures["duplicated"] += len(there.keys() - wanted.keys())
    return {"lost": figures["lost"], "duplicated": figures["duplicated"]}
