"""Every verdict of the server on a request, with its paths and rules, is that of the official protovalidate."""

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
    return sorted((path(violation.field), violation.rule_id) for violation in found)


def path(field) -> str:
    """A path as people write it: `tags[0].key`."""
    elements = (
        element.field_name + (f"[{element.index}]" if element.HasField("index") else "") for element in field.elements
    )
    return ".".join(elements)


def answered(server, operation: str, message) -> list[tuple[str, str]]:
    """Path and rule of every violation that the server reports."""
    call = getattr(contract.stub_class(contract.SERVICE)(server.channel), operation)
    try:
        call(message, timeout=20)
    except grpc.RpcError as error:
        reported = Details(error).violations()
        assert not reported or error.code() is grpc.StatusCode.INVALID_ARGUMENT
        return reported
    return []


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_a_broken_constraint_is_reported_as_protovalidate_does(server, operation):
    shape = shape_of_input(operation)
    valid = [Case("minimal", minimal(shape)), Case("full", full(shape))]
    for case in valid:
        message = contract.request(operation, case.request)
        assert (answered(server, operation, message), judged(message)) == ([], []), case.name

    for case in violations(operation):
        message = contract.request(operation, case.request)
        expected = judged(message)
        assert expected, f"the contract lacks a rule against {case.name}"
        assert answered(server, operation, message) == expected, case.name


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
    message = contract.request(operation, value)

    assert answered(server, operation, message) == judged(message)
