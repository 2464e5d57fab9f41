"""Every verdict of the server on a request, with its paths and rules, is that of the official protovalidate."""

from typing import Iterator

import grpc
import protovalidate
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import contract
from expectations import Details
from model import OPERATIONS, SHAPES, Case, full, minimal, shape_of_input, text, violations

VALIDATOR = protovalidate.Validator()


def judged(message) -> list[tuple[str, str]]:
    """Path and rule of every violation that protovalidate finds."""
    found = (violation.proto for violation in VALIDATOR.collect_violations(message))
    reported = [(path(violation.field), violation.rule_id) for violation in found]
    return sorted([*reported, *undefined_entries(message)])


def undefined_entries(message, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Entries of lists that their enum does not define, which protovalidate checks in every language but Python."""
    for field, value in message.ListFields():
        if field.is_repeated and field.enum_type:
            entries = (index for index, number in enumerate(value) if number not in field.enum_type.values_by_number)
            yield from ((f"{prefix}{field.name}[{index}]", "enum.defined_only") for index in entries)
        elif field.message_type and not field.is_repeated:
            yield from undefined_entries(value, f"{prefix}{field.name}.")


def path(field) -> str:
    """A path as people write it: `tags[0].key`."""
    elements = (
        element.field_name + (f"[{element.index}]" if element.HasField("index") else "") for element in field.elements
    )
    return ".".join(elements)


def assert_judged_alike(server, operation: str, message, what: str = "") -> None:
    """Compares path and rule of every violation, or of as many as the server has room for and the number of the others."""
    call = getattr(contract.stub_class(contract.SERVICE)(server.channel), operation)
    reported, unshown = [], 0
    try:
        call(message, timeout=20)
    except grpc.RpcError as error:
        details = Details(error)
        reported, unshown = details.violations(), details.unshown_violations()
        assert not reported or error.code() is grpc.StatusCode.INVALID_ARGUMENT
    expected = judged(message)
    if unshown:
        assert len(reported) + unshown == len(expected), what
        expected = [violation for violation in expected if violation in reported]
    assert reported == expected, what


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_a_broken_constraint_is_reported_as_protovalidate_does(server, operation):
    shape = shape_of_input(operation)
    valid = [Case("minimal", minimal(shape)), Case("full", full(shape))]
    for case in valid:
        message = contract.request(operation, case.request)
        assert judged(message) == [], case.name
        assert_judged_alike(server, operation, message, case.name)

    for case in violations(operation):
        message = contract.request(operation, case.request)
        assert judged(message), f"the contract lacks a rule against {case.name}"
        assert_judged_alike(server, operation, message, case.name)


@st.composite
def requests(draw):
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    return operation, draw(values(shape_of_input(operation)))


def values(shape: str) -> st.SearchStrategy:
    """Values on both sides of every limit of a shape, and beyond what anybody thought of."""
    facts = SHAPES[shape]
    match facts["type"]:
        case "structure":
            members = {member: values(of["shape"]) for member, of in facts["members"].items()}
            return st.one_of(st.fixed_dictionaries(members), st.fixed_dictionaries({}, optional=members))
        case "list":
            entries = values(facts["member"])
            few = st.lists(entries, max_size=3)
            at_limit = [st.lists(entries, min_size=1, max_size=1).map(lambda one, n=n: one * n) for n in limits(facts)]
            return st.one_of(few, *at_limit)
        case "integer":
            return st.integers(-1, 102)
        case "boolean":
            return st.booleans()
    if "enum" in facts:
        return st.sampled_from([*facts["enum"], "UNSPECIFIED", "NO_SUCH_VALUE"])
    lengths = [length for length in limits(facts) if length >= 0]
    strategies = [st.just(text(shape)), st.text(max_size=8), *(st.just(text(shape, length)) for length in lengths)]
    if "pattern" in facts:
        strategies.append(st.from_regex(facts["pattern"]))
    if facts.get("max", 1000) <= 500:
        # Four bytes and two UTF-16 units each, to tell characters from what they are made of.
        strategies += [st.just("\U0001f600" * length) for length in lengths]
    return st.one_of(strategies)


def limits(facts: dict) -> list[int]:
    low, high = facts.get("min"), facts.get("max")
    return [*([low - 1, low] if low else []), *([high, high + 1] if high is not None else [])]


@settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(requests())
def test_any_request_is_judged_as_protovalidate_does(server, made):
    operation, value = made

    assert_judged_alike(server, operation, contract.request(operation, value))
