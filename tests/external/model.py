"""The Proton API as AWS modelled it, and requests made from it: the smallest valid one of each operation, the fullest,
and for every constraint of every member one that breaks just that.

Requests are in AWS's form (camel case members, enum values without prefix); `contract` turns them into messages.
"""

import copy
import json
from pathlib import Path
from typing import Any, Iterator, NamedTuple

MODEL = json.loads((Path(__file__).parents[1] / "fixtures" / "model.json").read_text())
OPERATIONS: dict[str, dict] = MODEL["operations"]
SHAPES: dict[str, dict] = MODEL["shapes"]
PAGINATORS: dict[str, dict] = MODEL["paginators"]
WAITERS: dict[str, dict] = MODEL["waiters"]

# Strings that satisfy a pattern: a beginning, and what may follow it as often as one likes.
SAMPLES = {
    "Arn": ("arn:aws:proton:us-east-1:000000000000:environment-template/", "a"),
    "AwsAccountId": ("000000000000", ""),
    "DeploymentId": ("00000000-0000-4000-8000-000000000000", ""),
    "EnvironmentAccountConnectionId": ("00000000-0000-4000-8000-000000000000", ""),
    "RepositoryName": ("a/", "b"),
    "RoleArn": ("arn:aws:iam::000000000000:role/", "a/a"),
    "RoleArnOrEmptyString": ("arn:aws:iam::000000000000:role/", "a/a"),
    "TemplateVersionPart": ("1", "0"),
}

# A string that no pattern of the model matches, whatever lengths it allows.
UNMATCHED = " é "


class Case(NamedTuple):
    """A request with what is special about it."""

    name: str
    request: dict[str, Any]


def shape_of_input(operation: str) -> str:
    return OPERATIONS[operation]["input"]


def text(shape: str, length: int | None = None) -> str:
    """A string that fits the shape's pattern, of the given length or a short one that is allowed."""
    start, more = SAMPLES.get(shape, ("", "a"))
    if length is None:
        length = max(SHAPES[shape].get("min", 0), len(start) + (1 if start.endswith((":", "/")) else 0), 1)
        length = min(length, SHAPES[shape].get("max", length))
    # Built from the end, because that is where a path must not break off.
    filler = more * length
    return start + filler[len(filler) - (length - len(start)) :] if length > len(start) else start[:length]


def minimal(shape: str) -> Any:
    """The smallest valid value: required members only."""
    return _value(shape, full=False)


def full(shape: str) -> Any:
    """A valid value with every member set."""
    return _value(shape, full=True)


def _value(shape: str, full: bool) -> Any:
    facts = SHAPES[shape]
    match facts["type"]:
        case "structure":
            members = list(facts["members"].items())
            if facts.get("union"):
                chosen = members[:1]
            else:
                chosen = [(member, of) for member, of in members if full or of.get("required")]
            return {member: _value(of["shape"], full) for member, of in chosen}
        case "list":
            return [_value(facts["member"], full)] * (1 if full else facts.get("min", 0))
        case "integer":
            return facts.get("min", 1)
        case "boolean":
            return False
        case "string":
            return facts["enum"][-1] if "enum" in facts else text(shape)
    raise AssertionError(f"no value for {shape}")


def violations(operation: str) -> Iterator[Case]:
    """Every way to break one constraint of the operation's input, everything else being valid."""
    whole = full(shape_of_input(operation))
    for path, name, value in _breaches(shape_of_input(operation), ()):
        yield Case(f"{'.'.join(map(str, path))} {name}", _replaced(whole, path, value))


ABSENT = object()


def _breaches(shape: str, path: tuple) -> Iterator[tuple[tuple, str, Any]]:
    facts = SHAPES[shape]
    match facts["type"]:
        case "structure":
            for member, of in facts["members"].items():
                if of.get("required") and not _may_be_empty(SHAPES[of["shape"]]):
                    yield path + (member,), "missing", ABSENT
                yield from _breaches(of["shape"], path + (member,))
            if facts.get("union"):
                yield path, "without a member", {}
        case "list":
            entry = full(facts["member"])
            if facts.get("min", 0) > 0:
                yield path, "too short", [entry] * (facts["min"] - 1)
            if "max" in facts:
                yield path, "too long", [entry] * (facts["max"] + 1)
            yield from _breaches(facts["member"], path + (0,))
        case "integer":
            if "min" in facts:
                yield path, "too small", facts["min"] - 1
                yield path, "too large", facts["max"] + 1
        case "string":
            if "enum" in facts:
                yield path, "of an unknown value", "NO_SUCH_VALUE"
            if facts.get("min", 0) > 0:
                yield path, "too short", text(shape, facts["min"] - 1)
            if "max" in facts:
                yield path, "too long", text(shape, facts["max"] + 1)
            if "pattern" in facts:
                yield path, "against its pattern", UNMATCHED


def _may_be_empty(facts: dict) -> bool:
    """Whether the empty text or list is valid: a required member of this kind is never missing in Protobuf, only empty."""
    constrained = facts.get("min", 0) > 0 or "pattern" in facts or "enum" in facts
    return facts["type"] in ("string", "list") and not constrained


def _replaced(request: Any, path: tuple, value: Any) -> Any:
    if not path:
        return value
    changed = copy.copy(request)
    if value is ABSENT and len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = _replaced(request[path[0]], path[1:], value)
    return changed
