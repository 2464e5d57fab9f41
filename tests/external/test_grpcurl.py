"""grpcurl, current and old, finds every method by reflection and gets an answer from every operation."""

import pytest

import contract
from expectations import declared_statuses
from grpcurl import STATUS_EXIT, VERSIONS, grpcurl
from model import OPERATIONS, PAGINATORS, WAITERS, minimal, shape_of_input

METHODS = [
    *(f"{contract.SERVICE}.{operation}" for operation in sorted(OPERATIONS)),
    *(f"{contract.STREAMING_SERVICE}.{name}" for name in sorted(PAGINATORS)),
    *(f"{contract.STREAMING_SERVICE}.WaitUntil{name}" for name in sorted(WAITERS)),
    *(f"{contract.STREAMING_SERVICE}.{name}" for name in ("GetDeploymentContent", "PreviewDeployment")),
]

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def test_list_shows_both_services_with_every_method(server, version):
    services = grpcurl(version, server.grpc, "list").stdout.split()
    listed = [grpcurl(version, server.grpc, "list", service).stdout.split() for service in sorted(services)]

    assert {contract.SERVICE, contract.STREAMING_SERVICE, "grpc.health.v1.Health"} <= set(services)
    assert len(METHODS) == 120
    assert {method for methods in listed for method in methods if method.startswith("proton.")} == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_describe_shows_the_method(server, version, method):
    described = grpcurl(version, server.grpc, "describe", method)

    assert described.returncode == 0, described.stderr
    assert f"rpc {method.rpartition('.')[2]} ( .proton.v1." in described.stdout


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_call_is_answered_or_refused_as_declared(server, version, operation):
    called = call(server, version, operation)
    allowed = {0, *(STATUS_EXIT + status.value[0] for status in declared_statuses(operation))}

    assert called.returncode in allowed, called.stderr


def call(server, version, operation):
    data = contract.to_json(operation, minimal(shape_of_input(operation)))
    return grpcurl(version, server.grpc, f"{contract.SERVICE}/{operation}", data=data)
