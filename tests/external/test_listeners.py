"""Where clients connect: TLS, socket files, limits of the process, and the end."""

import json
import re
import resource
import signal
import socket
import ssl
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import botocore.exceptions
import grpc
import pytest
from botocore.config import Config
from grpc_health.v1 import health_pb2, health_pb2_grpc

from certificates import Authority
from grpcurl import TOOLS, VERSIONS

SETTINGS = "proton.v1.ProtonService/GetAccountSettings"
SECONDS = 20


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


def tls(authority: Authority, clients: Authority | None = None) -> list[str]:
    certificate, key = authority.issue("server")
    flags = [f"--tls-cert={certificate}", f"--tls-key={key}"]
    return flags + ([f"--tls-client-ca={clients.ca}"] if clients else [])


def localhost(address: str) -> str:
    """The address by the name that certificates are for."""
    return address.replace("127.0.0.1", "localhost")


def grpcurl(*arguments: str, version: str = "current") -> subprocess.CompletedProcess:
    command = [TOOLS / "bin" / VERSIONS[version], "-max-time", "20", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def https(server, **options):
    return boto3.client(
        "proton",
        endpoint_url=localhost(server.aws_json).replace("http:", "https:"),
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        **options,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_grpcurl_speaks_tls(start, authority, version):
    address = localhost(start(flags=tls(authority)).grpc)
    answered = grpcurl("-cacert", str(authority.ca), address, SETTINGS, version=version)
    assert json.loads(answered.stdout) == {"accountSettings": {}}, answered.stderr

    assert grpcurl("-plaintext", address, SETTINGS, version=version).returncode != 0
    assert grpcurl(address, SETTINGS, version=version).returncode != 0


@pytest.mark.parametrize("version", VERSIONS)
def test_grpcurl_shows_a_certificate(start, authority, tmp_path, version):
    clients, strangers = Authority(tmp_path / "clients"), Authority(tmp_path / "strangers")
    address = localhost(start(flags=tls(authority, clients)).grpc)

    def status(shown: Authority | None) -> int:
        flags = [str(flag) for pair in zip(("-cert", "-key"), shown.issue("client")) for flag in pair] if shown else []
        return grpcurl("-cacert", str(authority.ca), *flags, address, SETTINGS, version=version).returncode

    assert status(clients) == 0
    assert status(strangers) != 0
    assert status(None) != 0


def test_boto3_speaks_tls(start, authority, tmp_path):
    server = start(flags=tls(authority))
    https(server, verify=str(authority.ca)).get_account_settings()
    with pytest.raises(botocore.exceptions.SSLError):
        https(server, verify=str(Authority(tmp_path / "another").ca)).get_account_settings()


def test_boto3_shows_a_certificate(start, authority, tmp_path):
    clients = Authority(tmp_path / "clients")
    server = start(flags=tls(authority, clients))
    shown = Config(client_cert=tuple(map(str, clients.issue("client"))))
    https(server, verify=str(authority.ca), config=shown).get_account_settings()
    with pytest.raises(botocore.exceptions.SSLError):
        once = Config(retries={"total_max_attempts": 1})
        https(server, verify=str(authority.ca), config=once).get_account_settings()


@pytest.mark.parametrize("hint", [True, False], ids=["with SIGHUP", "by looking"])
def test_a_new_certificate_is_served_without_a_restart(start, authority, hint):
    server = start(flags=tls(authority))

    def served() -> bytes:
        context = ssl.create_default_context(cafile=authority.ca)
        context.set_alpn_protocols(["h2"])
        host, port = server.grpc.split(":")
        with socket.create_connection((host, port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
            return wrapped.getpeercert(binary_form=True)

    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    with grpc.secure_channel(localhost(server.grpc), credentials) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        check = lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        check()
        old = served()
        authority.issue("server")
        if hint:
            server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + SECONDS
        while served() == old:
            check()
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.1)
        check()
    assert "new certificate in force" in server.log.read_text()


# Old grpcurl and gRPC's C core make an authority of the path, which is none.
LOCALHOST = ("-authority", "localhost")


def check(server) -> None:
    """A client of the socket file asks for the health."""
    with grpc.insecure_channel(server.grpc, [("grpc.default_authority", "localhost")]) as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)


def test_grpcurl_and_python_connect_to_a_socket_file(start, tmp_path):
    path = tmp_path / "socket"
    server = start(flags=[f"--listen=unix:{path}"])
    assert server.grpc == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for version in VERSIONS:
        answered = grpcurl("-plaintext", "-unix", *LOCALHOST, str(path), SETTINGS, version=version)
        assert json.loads(answered.stdout) == {"accountSettings": {}}, answered.stderr
    check(server)

    server.process.terminate()
    assert server.process.wait(SECONDS) == 0
    assert not path.exists()


def test_a_socket_file_that_was_left_behind_is_taken_over(start, tmp_path):
    path = tmp_path / "socket"
    flags = [f"--listen=unix:{path}", f"--aws-json=unix:{tmp_path / 'other'}", "--socket-mode=660"]
    start(flags=flags).kill()
    assert path.is_socket()
    server = start(flags=flags)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    check(server)


def test_a_public_listener_without_authentication_is_refused(start):
    with pytest.raises(RuntimeError, match="ended with 64: .*--listen 0.0.0.0:0 is reachable"):
        start(flags=["--listen=0.0.0.0:0"])


def test_the_second_signal_ends_the_server_at_once(start):
    server = start(flags=["--drain-wait=60"])
    health = health_pb2_grpc.HealthStub(server.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    server.process.terminate()
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(2) == 128 + signal.SIGINT


def test_a_signal_lets_streams_end_with_a_status_and_the_process_with_success(start):
    server = start()
    watch = health_pb2_grpc.HealthStub(server.channel).Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    next(watch)
    server.process.terminate()
    with pytest.raises(grpc.RpcError) as ended:
        list(watch)
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in ended.value.details()
    assert server.process.wait(SECONDS) == 0


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_without_file_descriptors_clients_wait_and_the_server_does_not_spin(start):
    server = start(flags=["--workers=1"])
    process = server.process.pid
    host, port = server.grpc.split(":")
    open_files = len(list(Path(f"/proc/{process}/fd").iterdir()))
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (open_files + 2, before[1]))
    silent = [socket.create_connection((host, port)) for _ in range(4)]
    with ThreadPoolExecutor() as threads:
        health = health_pb2_grpc.HealthStub(server.channel)
        waiting = threads.submit(health.Check, health_pb2.HealthCheckRequest(), timeout=SECONDS)
        used = cpu_seconds(process)
        time.sleep(1)
        assert cpu_seconds(process) - used < 0.2
        assert not waiting.done()
        assert server.log.read_text().count("cannot accept connections") == 1
        for connection in silent:
            connection.close()
        assert waiting.result().status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_http2_is_spoken_as_specified(start, authority, secure):
    host, port = start(flags=tls(authority) if secure else []).grpc.split(":")
    assert failures(host, port, *(["--tls", "--insecure"] if secure else [])) == []


def test_beside_http_1_all_but_the_preface_is_as_specified(start):
    host, port = start().aws_json.removeprefix("http://").split(":")
    # What begins otherwise is HTTP/1.1, and answered so.
    assert failures(host, port) == ["Sends invalid connection preface"]


def failures(host: str, port: str, *options: str) -> list[str]:
    """What a server fails in, of all that h2spec checks. What is no gRPC is answered before it has come to its end; where
    h2spec spoils the end, it may see the answer first. So only what fails each time has failed."""
    command = [TOOLS / "bin" / "h2spec", "--host", host, "--port", port, "--timeout", "5", *options]
    failed = None
    for _ in range(3):
        told = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout
        _, _, summary = told.rpartition("\nFinished in ")
        assert re.search(r"\d+ tests, [1-9]\d* passed", summary), told
        found = set(re.findall(r"× \d+: (.*)", told))
        failed = found if failed is None else failed & found
        if not failed:
            break
    return sorted(failed)
