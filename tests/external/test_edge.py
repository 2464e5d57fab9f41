"""deploy/envoy/edge.yaml in a real Envoy: gRPC, gRPC-Web and JSON, what is repeated and who is left out."""

import http.client
import itertools
import json
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import contract
import envoy
from certificates import Authority
from envoy import CALL_SECONDS, Envoy, called, refused
from expectations import Details
from server import Server

ORIGIN = "https://console.example"
METHOD = f"/{contract.SERVICE}"
SECONDS = 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates") / "authority")


class Edge:
    """Envoy from outside."""

    def __init__(self, envoy: Envoy, authority: Authority):
        self.envoy = envoy
        self.address = envoy.addresses["edge"].replace("127.0.0.1", "localhost")
        self.trusted = ssl.create_default_context(cafile=authority.ca)
        self.channel = grpc.secure_channel(self.address, grpc.ssl_channel_credentials(authority.ca.read_bytes()))

    def asked(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPSConnection(self.address, context=self.trusted, timeout=CALL_SECONDS)
        try:
            connection.request(verb, path, body, headers)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def asked_json(self, operation: str, **request) -> tuple[int, dict]:
        body = json.dumps(request).encode()
        answer, said = self.asked("POST", f"{METHOD}/{operation}", body, {"content-type": "application/json"})
        return answer.status, json.loads(said)


@pytest.fixture(scope="module")
def begin(tmp_path_factory, authority):
    """Starts an edge in front of the processes at these addresses."""
    directory = tmp_path_factory.mktemp("contract")
    with Server(directory / "server") as server:
        described = envoy.describe(server, directory)

    @contextmanager
    def begin(directory, *addresses: str) -> Iterator[Edge]:
        with Envoy(directory, envoy.edge(authority, described, *addresses)) as running:
            edge = Edge(running, authority)
            yield edge
            edge.channel.close()

    return begin


def served(directory, authority) -> Server:
    certificate, key = authority.issue("server")
    return Server(directory, flags=[f"--tls-cert={certificate}", f"--tls-key={key}"])


@pytest.fixture(scope="module")
def edge(tmp_path_factory, authority, begin):
    directory = tmp_path_factory.mktemp("edge")
    with served(directory / "server", authority) as server, begin(directory / "envoy", server.grpc) as edge:
        yield edge


def test_grpc_passes_the_edge(edge):
    called(edge.channel, "CreateServiceTemplate", name="plain")
    assert called(edge.channel, "GetServiceTemplate", name="plain").service_template.name == "plain"

    error = refused(edge.channel, "GetServiceTemplate", name="none")
    assert (error.code(), Details(error).info.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND_EXCEPTION")


def test_a_call_in_json_is_answered_in_json(edge):
    status, made = edge.asked_json("CreateEnvironmentTemplate", name="json", displayName="In JSON")
    assert (status, made["environmentTemplate"]["displayName"]) == (200, "In JSON")

    status, listed = edge.asked_json("ListEnvironmentTemplates")
    assert (status, [template["name"] for template in listed["templates"]]) == (200, ["json"])


def test_a_stream_in_json_is_an_array(edge):
    called(edge.channel, "CreateServiceTemplate", name="streamed")
    path, headers = f"/{contract.STREAMING_SERVICE}/ListServiceTemplates", {"content-type": "application/json"}
    answer, said = edge.asked("POST", path, b"{}", headers)

    (page,) = json.loads(said)
    assert (answer.status, "streamed" in [template["name"] for template in page["templates"]]) == (200, True)


def test_an_error_in_json_has_its_details(edge):
    status, error = edge.asked_json("GetEnvironmentTemplate", name="not valid")
    kinds = {detail["@type"].removeprefix("type.googleapis.com/"): detail for detail in error["details"]}

    assert (status, error["code"]) == (400, grpc.StatusCode.INVALID_ARGUMENT.value[0])
    assert kinds[ErrorInfo.DESCRIPTOR.full_name]["domain"] == "proton-grpc"
    assert [violation["field"] for violation in kinds["google.rpc.BadRequest"]["fieldViolations"]] == ["name"]


def web_headers(origin: str) -> dict[str, str]:
    return {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": origin}


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of gRPC-Web: a flag, of which 0x80 marks the trailers, and what is in them."""
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        yield flag, body[5 : 5 + length]
        body = body[5 + length :]


def test_a_page_of_ours_calls_over_grpc_web(edge):
    called(edge.channel, "CreateServiceTemplate", name="web")
    message = contract.request("GetServiceTemplate", {"name": "web"}).SerializeToString()
    body = struct.pack(">BI", 0, len(message)) + message
    answer, said = edge.asked("POST", f"{METHOD}/GetServiceTemplate", body, web_headers(ORIGIN))

    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert {"grpc-status", "grpc-message"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    (flag, message), (end, trailers) = frames(said)
    assert (flag, end) == (0, 0x80)
    assert b"grpc-status:0\r\n" in trailers
    assert message.find(b"service-template/web") > 0


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, ORIGIN), ("https://evil.example", None)])
def test_a_browser_is_told_whose_pages_may_call(edge, origin, allowed):
    asks = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-grpc-web"}
    answer, _ = edge.asked("OPTIONS", f"{METHOD}/GetServiceTemplate", b"", asks)

    assert answer.headers["access-control-allow-origin"] == allowed


class Unavailable(grpc.GenericRpcHandler):
    """A process that says it is well, and answers every call with UNAVAILABLE."""

    def __init__(self) -> None:
        self.calls = 0

    def service(self, details):
        if not details.method.startswith(METHOD):
            return None
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, _, context):
        self.calls += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "unwell")


@pytest.fixture
def unwell(authority):
    """Its address and what it was asked."""
    certificate, key = (file.read_bytes() for file in authority.issue("unwell"))
    handler, healthy = Unavailable(), health.HealthServicer()
    healthy.set(contract.SERVICE, health_pb2.HealthCheckResponse.SERVING)
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    yield f"127.0.0.1:{port}", handler
    server.stop(None)


@pytest.fixture
def uneven(tmp_path, authority, begin, unwell):
    """An edge in front of two processes, of which one is unwell."""
    with served(tmp_path / "server", authority) as server, begin(tmp_path / "envoy", server.grpc, unwell[0]) as edge:
        wait_until(lambda: edge.envoy.statistic("cluster.proton-grpc.membership_healthy") == 2)
        yield edge, unwell[1]


def wait_until(holds) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_reads_are_repeated_elsewhere_and_nothing_else(uneven):
    edge, unwell = uneven
    repeats = lambda: edge.envoy.statistic("cluster.proton-grpc.upstream_rq_retry")

    wait_until(lambda: called(edge.channel, "ListServices") is not None and unwell.calls == 1)
    assert repeats() == 1

    numbers = itertools.count()
    with pytest.raises(grpc.RpcError) as error:
        wait_until(lambda: called(edge.channel, "CreateServiceTemplate", name=f"t{next(numbers)}") is None)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.UNAVAILABLE, "unwell")
    assert (unwell.calls, repeats()) == (2, 1)


def test_a_process_that_is_unwell_is_left_out(uneven):
    edge, unwell = uneven

    def is_left_out() -> bool:
        """Ejected, and all threads of Envoy know."""
        asked = unwell.calls
        for _ in range(10):
            called(edge.channel, "ListServices")
        return edge.envoy.statistic("cluster.proton-grpc.outlier_detection.ejections_active") == 1 and unwell.calls == asked

    wait_until(is_left_out)
    for number in range(30):
        called(edge.channel, "CreateServiceTemplate", name=f"t{number}")
