"""What callers see of an endpoint that fails, or of a network that does; what the endpoint sees of their calls; and that
nothing of it stays."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import contract
import faults
from expectations import Details
from faults import FaultProxy
from server import ENVIRONMENT_BUNDLE, Server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
DEADLINE = 1.0
MIB = 1 << 20

SAFE = READ, TOKEN, IDEMPOTENT = (
    "GetEnvironmentTemplate",
    "CreateEnvironmentTemplateVersion",
    "CreateEnvironmentTemplate",
)
UNSAFE = "UpdateEnvironmentTemplate"
OPERATIONS = *SAFE, UNSAFE

INTERNAL, UNAVAILABLE, UNKNOWN = grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
UNCERTAIN = UNKNOWN, "OUTCOME_UNKNOWN", "unknown"


def uncertain(reason: str) -> tuple[tuple, tuple]:
    """What calls end with that may be repeated, and the others, when nobody knows what became of them."""
    return (UNAVAILABLE, reason, "unknown"), UNCERTAIN


def alike(*told) -> tuple[tuple, tuple]:
    return told, told


# A fault that lasts: what safe calls and others end with, and whether safe ones are repeated before.
LASTING = {
    faults.throttles: (alike(EXHAUSTED, "THROTTLING_EXCEPTION", "not_executed"), False),
    faults.fails: (alike(INTERNAL, "INTERNAL_SERVER_EXCEPTION", "unknown"), True),
    faults.fails_when_done: (alike(INTERNAL, "INTERNAL_SERVER_EXCEPTION", "unknown"), True),
    faults.is_unavailable: (uncertain("UPSTREAM_HTTP_503"), True),
    faults.is_unavailable_when_done: (uncertain("UPSTREAM_HTTP_503"), True),
    faults.resets_before_the_request: (uncertain("UPSTREAM_INTERRUPTED"), True),
    faults.resets_after_the_request: (uncertain("UPSTREAM_INTERRUPTED"), True),
    faults.resets_when_done: (uncertain("UPSTREAM_INTERRUPTED"), True),
    faults.truncates: (uncertain("UPSTREAM_RESPONSE_UNREADABLE"), True),
    # The SDK does not ask again where it was told of success.
    faults.garbles: (uncertain("UPSTREAM_RESPONSE_UNREADABLE"), False),
    faults.answers_another_question: (uncertain("UPSTREAM_RESPONSE_UNREADABLE"), False),
    faults.swells: (alike(INTERNAL, "UPSTREAM_RESPONSE_TOO_LARGE", "unknown"), False),
    faults.announces_a_gibibyte: (alike(INTERNAL, "UPSTREAM_RESPONSE_TOO_LARGE", "unknown"), False),
}
REPEATED = [fault for fault, (_, repeats) in LASTING.items() if repeats]
ENDLESS = faults.drips, faults.hangs, faults.hangs_in_the_body


class World:
    """A facade, a control plane of another process, and the proxy between them."""

    def __init__(self, facade: Server, plane: Server, proxy: FaultProxy):
        self.facade, self.plane, self.proxy = facade, plane, proxy
        self.stub = contract.stub_class(contract.SERVICE)(facade.channel)
        self.names = (f"template-{number}" for number in itertools.count())
        plane.put_bundle("bundles", "environment", ENVIRONMENT_BUNDLE)

    def prepared(self, operation: str) -> dict:
        """A request of its own, and what it needs in the control plane."""
        name = next(self.names)
        if operation != IDEMPOTENT:
            self.plane.boto3().create_environment_template(name=name)
        if operation == TOKEN:
            source = {"s3": {"bucket": "bundles", "key": "environment"}}
            return {"templateName": name, "source": source, "clientToken": f"token-of-{name}"}
        return {"name": name} if operation == READ else {"name": name, "description": "of the call"}

    def call(self, operation: str, value: dict, timeout: float = 20):
        return getattr(self.stub, operation)(contract.request(operation, value), timeout=timeout)

    def failure(self, operation: str, value: dict, timeout: float = 20) -> "Failed":
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as failed:
            self.call(operation, value, timeout)
        return Failed(value, failed.value, time.monotonic() - began)

    def meet(self, fault: faults.Fault, timeout: float = 20) -> "dict[str, Failed]":
        """Makes a call of each kind, all at the same time, while the endpoint has a fault."""
        values = list(map(self.prepared, OPERATIONS))
        self.proxy.asked.clear()
        self.proxy.executed.clear()
        with self.proxy.having(fault), ThreadPoolExecutor() as threads:
            failed = threads.map(self.failure, OPERATIONS, values, [timeout] * len(values))
            return dict(zip(OPERATIONS, failed))

    def has_recovered(self, found: "dict[str, Failed]") -> None:
        """The same calls succeed now, and whatever they were to make is there once."""
        for operation, failed in found.items():
            assert self.made(operation, failed.value) <= 1
            self.call(operation, failed.value)
            assert self.made(operation, failed.value) == 1

    def made(self, operation: str, value: dict) -> int:
        """How many of what the call makes are there."""
        plane = self.plane.boto3()
        if operation == TOKEN:
            return len(plane.list_environment_template_versions(templateName=value["templateName"])["templateVersions"])
        names = [template["name"] for template in pages(plane)]
        return names.count(value["name"])


class Failed:
    """A call that failed, and how."""

    def __init__(self, value: dict, error: grpc.RpcError, took: float):
        self.value, self.took = value, took
        self.code = error.code()
        # A client that has waited for long enough knows no more than that.
        info = Details(error).info
        self.told = self.code, info and info.reason, info and info.metadata["outcome"]


def pages(plane) -> list[dict]:
    found = plane.get_paginator("list_environment_templates").paginate()
    return [template for page in found for template in page["templates"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("faults")
    with (
        Server(directory / "plane") as plane,
        FaultProxy(plane.aws_json) as proxy,
        Server(directory / "facade", environment=CREDENTIALS, upstream=proxy.url) as facade,
    ):
        yield World(facade, plane, proxy)


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.__name__)
def test_a_fault_that_lasts_is_told_and_leaves_nothing_double(world, fault):
    (safe, harmed), repeats = LASTING[fault]
    found = world.meet(fault)
    assert {operation: call.told for operation, call in found.items()} == dict.fromkeys(SAFE, safe) | {UNSAFE: harmed}
    # Whom nobody listens to asks nothing.
    if fault is not faults.resets_before_the_request:
        assert world.proxy.asked == dict.fromkeys(SAFE, 3 if repeats else 1) | {UNSAFE: 1}
    world.has_recovered(found)


@pytest.mark.parametrize("operation", SAFE)
@pytest.mark.parametrize("fault", REPEATED, ids=lambda fault: fault.__name__)
def test_a_fault_that_passes_is_not_seen_by_calls_that_may_be_repeated(world, fault, operation):
    value = world.prepared(operation)
    with world.proxy.having(fault, times=1):
        world.call(operation, value)
    assert world.made(operation, value) == 1


@pytest.mark.parametrize("fault", ENDLESS, ids=lambda fault: fault.__name__)
def test_an_answer_that_does_not_come_ends_with_the_deadline(world, fault):
    found = world.meet(fault, DEADLINE)
    assert {call.code for call in found.values()} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert max(call.took for call in found.values()) < DEADLINE + 1
    assert world.proxy.executed == dict.fromkeys(OPERATIONS, 1)
    world.has_recovered(found)


def test_answers_without_end_take_no_memory(world):
    value, process = world.prepared(READ), world.facade.process.pid
    before = memory(process)
    with world.proxy.having(faults.swells):
        for _ in range(5):
            assert world.failure(READ, value).told == LASTING[faults.swells][0][0]
    assert memory(process) - before < 48 * MIB


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_endpoint_with_another_time_gets_requests_of_that_time(world, operation):
    value = world.prepared(operation)
    with world.proxy.having(faults.has_another_time):
        world.call(operation, value)
    assert world.made(operation, value) == 1


def memory(process: int) -> int:
    """The most that a process has ever had."""
    with open(f"/proc/{process}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
