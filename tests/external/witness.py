"""Reads everything from a server and compares it with what clients know, and with itself."""

import re
import time
from typing import Any

from facts import ABSENT, Fact, Facts
from wires import AwsJson, Grpc
from world import KINDS, must
from writers import BROKEN, SOUND, arn

# Longer than the lease of a process that died.
REGISTRATION_SECONDS = 90

Version = dict[str, Any]


class Seen:
    """All templates and versions of a server, once every registration has ended."""

    def __init__(self, wire: AwsJson | Grpc):
        self.templates: dict[tuple[str, str], dict[str, Any]] = {}
        self.versions: dict[tuple[str, str], list[Version]] = {}
        for kind in KINDS:
            for template in wire.entries(f"List{kind}s", {}):
                name = template["name"]
                self.templates[kind, name] = template
                self.versions[kind, name] = versions(wire, kind, name)
        self.settings = must(wire, "GetAccountSettings")["accountSettings"]
        self.counts = must(wire, "GetResourcesSummary")["counts"]
        self.tags = {of: tags(wire, *of) for of in self.templates}


def versions(wire: AwsJson | Grpc, kind: str, name: str) -> list[Version]:
    """Every version of a template, each at the end of its registration."""
    found = []
    for major in wire.entries(f"List{kind}Versions", {"templateName": name}):
        asked = {"templateName": name, "majorVersion": major["majorVersion"]}
        for minor in wire.entries(f"List{kind}Versions", asked):
            found.append(registered(wire, kind, {**asked, "minorVersion": minor["minorVersion"]}))
    return found


def registered(wire: AwsJson | Grpc, kind: str, named: dict[str, str]) -> Version:
    deadline = time.monotonic() + REGISTRATION_SECONDS
    while True:
        (version,) = must(wire, f"Get{kind}Version", **named).values()
        if version["status"] != "REGISTRATION_IN_PROGRESS" or time.monotonic() > deadline:
            return version
        time.sleep(0.01)


def tags(wire: AwsJson | Grpc, kind: str, name: str) -> dict[str, str]:
    listed = wire.entries("ListTagsForResource", arn(kind, name))
    return {tag["key"]: tag["value"] for tag in listed if not tag["key"].startswith("aws:")}


def compare(facts: Facts, seen: Seen, deployed: dict[Fact, Any], counts: dict[str, int]) -> None:
    """Counts what holds, and notes what does not, of templates and of what else was seen."""
    values = deployed | {("template", *of): template["description"] for of, template in seen.templates.items()}
    values |= {("role", member): role for member, role in seen.settings.items()}
    for of, tagged in seen.tags.items():
        values |= {("tag", *of, key): value for key, value in tagged.items()}
    for of, found in seen.versions.items():
        for version in found:
            values[("version", *of, number(version))] = recognize(facts, of, version)
        check_recommended(facts, of, seen.templates[of], found)
    facts.forget_tags_of_deleted(seen.templates.keys())
    facts.forget_notifications_of_deleted({fact[1] for fact in deployed if fact[0] == "environment"})
    facts.read(values)
    counts = counts | {f"{member}s": sum(of == kind for of, _ in seen.templates) for kind, (member, _) in KINDS.items()}
    for member, listed in counts.items():
        total = seen.counts[member]["total"]
        facts.check("wrong", total == listed, f"the summary counts {total} {member}, {listed} are listed")


def number(version: Version) -> str:
    return f"{version['majorVersion']}.{version['minorVersion']}"


def recognize(facts: Facts, of: tuple[str, str], version: Version) -> tuple[str, bool]:
    """Finds out who made a version, and whether its registration ended as it has to."""
    marker, published = version["description"].split()[0], version["status"] == "PUBLISHED"
    creation = facts.creations.get(marker)
    if creation is None or (creation.kind, creation.template) != of:
        facts.violate("duplicated", f"version {number(version)} of {of} was not asked for: {version}")
        return version["description"], published
    facts.numbered(creation, number(version))
    if creation.bundle in BROKEN:
        message = version.get("statusMessage", "")
        rightly = version["status"] == "REGISTRATION_FAILED" and re.search(BROKEN[creation.bundle], message)
    else:
        schema = SOUND[creation.kind]["schema/schema.yaml"]
        rightly = version["status"] in ("DRAFT", "PUBLISHED") and version.get("schema") == schema
    facts.check("wrong", bool(rightly), f"the bundle {creation.bundle!r} became {version}")
    return version["description"], published


def check_recommended(facts: Facts, of: tuple[str, str], template: dict[str, Any], found: list[Version]) -> None:
    """A template and its versions change together, so they always agree on what is published."""
    published: dict[int, int] = {}
    for version in found:
        if version["status"] == "PUBLISHED":
            major, minor = int(version["majorVersion"]), int(version["minorVersion"])
            published[major] = max(minor, published.get(major, 0))
    recommended = "{}.{}".format(*max(published.items())) if published else ABSENT
    told = template.get("recommendedVersion")
    facts.check("wrong", told == recommended, f"{of} recommends {told}, {recommended} is published")
    for version in found:
        minor, told = published.get(int(version["majorVersion"])), version.get("recommendedMinorVersion")
        expected = ABSENT if minor is None else str(minor)
        facts.check("wrong", told == expected, f"{of} {number(version)} recommends minor {told}, {expected} is published")
