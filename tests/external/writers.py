"""Clients that write at random and note what they know. Each has templates of its own, and all make versions and tags
of the shared ones, where their writes meet."""

import itertools
import random
from pathlib import Path
from threading import Event
from typing import Any

import grpc

from cluster import Client
from facts import ABSENT, Creation, Fact, Facts
from server import ENVIRONMENT_BUNDLE, SERVICE_BUNDLE, put_bundle
from wires import NoAnswer
from world import ARN, KINDS

SHARED = "shared"
BASE = {"templateName": SHARED, "majorVersion": "1"}
BUCKET = "bundles"

# Big enough that a registration takes its time.
LARGE = 512 << 10

SOUND = {"EnvironmentTemplate": ENVIRONMENT_BUNDLE, "ServiceTemplate": SERVICE_BUNDLE}

# What the verdict on a broken bundle says.
BROKEN = {
    "missing": r"there is no object",
    "garbage": r"not a gzipped tar",
    "without a manifest": r"manifest\.yaml is missing",
    "without a schema": r"no schema/schema\.yaml",
}
BUNDLES = ["small", "small", "large", *BROKEN]

MOST_TEMPLATES = 4
MOST_VERSIONS = 8

# How often a client does what: all sorts of things, or mostly registrations.
MIXED = {
    "create_template": 3,
    "update_template": 4,
    "delete_template": 2,
    "create_version": 6,
    "update_version": 6,
    "delete_version": 4,
    "tag": 4,
    "untag": 2,
    "set_role": 2,
}
REGISTERING = {"create_template": 1, "create_version": 12, "update_version": 1, "delete_version": 8}

ROLES = {"client-0": "pipelineServiceRoleArn", "client-1": "pipelineCodebuildRoleArn"}

CONFLICT = frozenset({"ConflictException"})
CONFLICT_OR_INVALID = frozenset({"ConflictException", "ValidationException"})
QUOTA_EXCEEDED = frozenset({"ServiceQuotaExceededException"})


def put_bundles(bundles: Path) -> None:
    """Puts a bundle of every sort where the directory store looks for it, but for the missing one."""
    padding = "# " + random.Random(0).randbytes(LARGE // 2).hex() + "\n"
    for kind, bundle in SOUND.items():
        large = {name: text + padding if name.endswith("cloudformation.yaml") else text for name, text in bundle.items()}
        put_bundle(bundles, BUCKET, f"{kind}/small", bundle)
        put_bundle(bundles, BUCKET, f"{kind}/large", large)
        for missing in ("manifest", "schema"):
            rest = {name: text for name, text in bundle.items() if not name.endswith(f"{missing}.yaml")}
            put_bundle(bundles, BUCKET, f"{kind}/without a {missing}", rest)
        (bundles / BUCKET / kind / "garbage").write_bytes(b"neither gzip nor tar")


class Writer:
    """A client at one of the doors."""

    def __init__(self, client: str, wire: Client, facts: Facts, rng: random.Random):
        self.client, self.wire, self.facts, self.rng = client, wire, facts, rng
        self.templates = [fact for fact in facts.known("template") if fact[2].startswith(f"{client}-")]
        self.versions = [made for made in facts.creations.values() if made.client == client]

    def run(self, weights: dict[str, int], enough: Event) -> None:
        """Writes until told that it is enough, or nobody answers, or the server has broken its word."""
        actions = [getattr(self, action) for action in weights]
        try:
            while not self.facts.violations and not enough.is_set():
                (action,) = self.rng.choices(actions, list(weights.values()))
                action()
        except NoAnswer:
            self.facts.count("unanswered")

    def write(
        self, fact: Fact, value: Any, operation: str, request: dict[str, Any], refusals: frozenset[str] = frozenset()
    ) -> bool:
        before = self.facts.writing(fact, value)
        outcome = self.wire.call(operation, request)
        if outcome.status is grpc.StatusCode.OK:
            self.facts.acknowledged(fact, value)
            return True
        if self.wire.tries > 1:
            raise NoAnswer(f"{operation} {request}: {outcome}, perhaps because an earlier try was heard")
        self.facts.refused(fact, before)
        if outcome.aws_code not in refusals:
            self.facts.violate("wrong", f"{operation} {request}: {outcome}")
        return False

    def create_template(self) -> None:
        if len(self.templates) < MOST_TEMPLATES:
            kind, serial = self.rng.choice(list(KINDS)), self.facts.serial()
            self.make_template(kind, f"{self.client}-{serial}")

    def make_template(self, kind: str, name: str, refusals: frozenset[str] = frozenset()) -> bool:
        fact, description = ("template", kind, name), f"made {self.facts.serial()}"
        made = self.write(fact, description, f"Create{kind}", {"name": name, "description": description}, refusals)
        self.templates += [fact] if made else []
        return made

    def update_template(self) -> None:
        if self.templates:
            fact = self.rng.choice(self.templates)
            description = f"changed {self.facts.serial()}"
            self.write(fact, description, f"Update{fact[1]}", {"name": fact[2], "description": description})

    def delete_template(self) -> None:
        if self.templates:
            fact = self.rng.choice(self.templates)
            has_versions = any((made.kind, made.template) == fact[1:] for made in self.versions)
            if self.write(fact, ABSENT, f"Delete{fact[1]}", {"name": fact[2]}, CONFLICT if has_versions else frozenset()):
                if has_versions:
                    self.facts.violate("wrong", f"{fact} is deleted although it has versions")
                self.templates.remove(fact)

    def create_version(self) -> None:
        kind = self.rng.choice(list(KINDS))
        own = [name for _, of, name in self.templates if of == kind]
        template = self.rng.choice([SHARED, *own])
        there = [made for made in self.versions if (made.kind, made.template) == (kind, template)]
        if len(there) < MOST_VERSIONS:
            major = self.rng.choice([None, *(made.number.partition(".")[0] for made in there)])
            # Another client may take the last minor version of a shared major version, but never of the first.
            major = "1" if template == SHARED and major else major
            self.make_version(kind, template, major, self.rng.choice(BUNDLES))

    def make_version(
        self, kind: str, template: str, major: str | None, bundle: str, refusals: frozenset[str] = frozenset()
    ) -> bool:
        marker = f"{self.client}-{self.facts.serial()}"
        request = {
            "templateName": template,
            "description": marker,
            "clientToken": marker,
            "source": {"s3": {"bucket": BUCKET, "key": f"{kind}/{bundle}"}},
        }
        if kind == "ServiceTemplate":
            request["compatibleEnvironmentTemplates"] = [BASE]
        if major:
            request["majorVersion"] = major
        return self.ask(Creation(self.client, marker, kind, template, major, bundle, request), refusals)

    def ask(self, creation: Creation, refusals: frozenset[str] = frozenset()) -> bool:
        """Asks for a version, or asks again when there was no answer."""
        self.facts.asking(creation)
        outcome = self.wire.call(f"Create{creation.kind}Version", creation.request)
        if outcome.status is not grpc.StatusCode.OK:
            if outcome.aws_code not in refusals:
                self.facts.violate("wrong", f"{creation}: {outcome}")
            return False
        (version,) = outcome.answer.values()
        self.facts.numbered(creation, f"{version['majorVersion']}.{version['minorVersion']}")
        self.facts.count("acknowledged")
        self.versions.append(creation)
        return True

    def fill(self) -> None:
        """Makes templates, and minor versions of a shared one, until there may be no more."""
        kinds = itertools.cycle(KINDS)
        while self.make_template(next(kinds), f"{self.client}-{self.facts.serial()}", QUOTA_EXCEEDED):
            pass
        while self.make_version("EnvironmentTemplate", SHARED, "1", "missing", QUOTA_EXCEEDED):
            pass

    def update_version(self) -> None:
        if self.versions:
            made = self.rng.choice(self.versions)
            description, published = self.facts.value(made.fact)
            change = {}
            if self.rng.random() < 0.5:
                description = change["description"] = f"{made.marker} changed {self.facts.serial()}"
            if not change or self.rng.random() < 0.5:
                published, change["status"] = True, "PUBLISHED"
            # A version that is still registering cannot be changed, and a broken one never can.
            refusals = CONFLICT_OR_INVALID if made.bundle in BROKEN else CONFLICT
            operation, request = f"Update{made.kind}Version", {**self.named(made), **change}
            self.write(made.fact, (description, published), operation, request, refusals)

    def delete_version(self) -> None:
        if self.versions:
            made = self.rng.choice(self.versions)
            # A version that is registering, or recommended while there are others, has to stay.
            if self.write(made.fact, ABSENT, f"Delete{made.kind}Version", self.named(made), CONFLICT):
                self.versions.remove(made)

    @staticmethod
    def named(made: Creation) -> dict[str, str]:
        major, _, minor = made.number.partition(".")
        return {"templateName": made.template, "majorVersion": major, "minorVersion": minor}

    def tag(self) -> None:
        kind, name, key = self.tagged()
        value = str(self.facts.serial())
        request = {**arn(kind, name), "tags": [{"key": key, "value": value}]}
        self.write(("tag", kind, name, key), value, "TagResource", request)

    def untag(self) -> None:
        kind, name, key = self.tagged()
        self.write(("tag", kind, name, key), ABSENT, "UntagResource", {**arn(kind, name), "tagKeys": [key]})

    def tagged(self) -> tuple[str, str, str]:
        """A template, and a key that only this client gives it."""
        _, kind, name = self.rng.choice([*self.templates, *(("template", kind, SHARED) for kind in KINDS)])
        return kind, name, f"{self.client}-{self.rng.randrange(3)}"

    def set_role(self) -> None:
        if member := ROLES.get(self.client):
            role = f"arn:aws:iam::000000000000:role/r{self.facts.serial()}"
            # Without the other one no pipeline could be deployed.
            role = self.rng.choice(["", role]) if member == "pipelineCodebuildRoleArn" else role
            self.write(("role", member), role or ABSENT, "UpdateAccountSettings", {member: role})


def arn(kind: str, name: str) -> dict[str, str]:
    return {"resourceArn": f"{ARN}:{KINDS[kind][1]}/{name}"}
