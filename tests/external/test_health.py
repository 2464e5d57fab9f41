"""The standard health and reflection services, as load balancers and command lines use them."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

import contract

SERVICES = ["", contract.SERVICE, contract.STREAMING_SERVICE]
SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def health(server):
    return health_pb2_grpc.HealthStub(server.channel)


@pytest.mark.parametrize("service", SERVICES)
def test_check_says_serving(health, service):
    assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status == SERVING


def test_check_of_an_unknown_service_is_not_found(health):
    with pytest.raises(grpc.RpcError) as error:
        health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=5)

    assert error.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", SERVICES)
def test_watch_says_serving_at_once(health, service):
    watch = health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=5)

    assert next(watch).status == SERVING
    watch.cancel()


def test_watch_of_an_unknown_service_says_so_and_stays_open(health):
    watch = health.Watch(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=1)

    assert next(watch).status == SERVICE_UNKNOWN
    with pytest.raises(grpc.RpcError) as error:
        next(watch)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_list_names_every_service(health):
    statuses = health.List(health_pb2.HealthListRequest(), timeout=5).statuses

    assert {service: statuses[service].status for service in SERVICES} == dict.fromkeys(SERVICES, SERVING)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services_and_knows_error_details(server, version):
    # The two versions share their messages on the wire; the Python package has those of v1alpha.
    reflect = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="google.rpc.BadRequest"),
    ]
    services, details = reflect(iter(questions), timeout=5)

    names = {service.name for service in services.list_services_response.service}
    assert {contract.SERVICE, contract.STREAMING_SERVICE, "grpc.health.v1.Health"} <= names
    assert details.file_descriptor_response.file_descriptor_proto
