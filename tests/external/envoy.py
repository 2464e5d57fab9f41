"""Envoy with a configuration from deploy/, on free loopback ports and with a test's own files."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

import contract
from certificates import Authority
from grpcurl import TOOLS, grpcurl
from server import Server

DEPLOY = Path(__file__).parents[2] / "deploy" / "envoy"
START_SECONDS = 30
CALL_SECONDS = 20


def program() -> Path:
    """Envoy itself, without the Python that would only start it."""
    (found,) = TOOLS.glob("python/lib/python*/site-packages/envoy/_bin/envoy")
    return found


def configuration(file: Path, replaced: Mapping[str, str] = {}) -> dict[str, Any]:
    """What a file says, with texts in it replaced wherever they stand."""
    text = file.read_text()
    for old, new in replaced.items():
        assert old in text, f"{file.name} does not say {old}"
        text = text.replace(old, new)
    return yaml.safe_load(text)


def endpoints(*addresses: str) -> list[dict[str, Any]]:
    """The endpoints of a cluster: host and port of each."""

    def endpoint(address: str) -> dict[str, Any]:
        host, port = address.rsplit(":", 1)
        return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}

    return [{"lb_endpoints": [endpoint(address) for address in addresses]}]


def edge(authority: Authority, described: Path, *addresses: str) -> dict[str, Any]:
    """The configuration of the edge, in front of processes that this authority vouches for as `localhost`."""
    certificate, key = authority.issue("edge")
    replaced = {
        "/etc/proton-grpc/edge/tls.crt": str(certificate),
        "/etc/proton-grpc/edge/tls.key": str(key),
        "/etc/proton-grpc/edge}": f"{authority.directory}}}",
        "/etc/proton-grpc/upstream/ca.crt": str(authority.ca),
        "/etc/proton-grpc/contract.binpb": str(described),
        "proton-grpc-headless": "localhost",
    }
    settings = configuration(DEPLOY / "edge.yaml", replaced)
    (cluster,) = settings["static_resources"]["clusters"]
    cluster["load_assignment"]["endpoints"] = endpoints(*addresses)
    return settings


def describe(server: Server, directory: Path) -> Path:
    """The contract for the edge, as deploy/README.md has it."""
    whole = directory / "contract.binpb"
    with whole.open("wb") as written:
        for symbols in ([], ["google.rpc.ErrorInfo"]):
            part = directory / "part.binpb"
            told = grpcurl("current", "-protoset-out", str(part), server.grpc, "describe", *symbols)
            assert told.returncode == 0, told.stderr
            written.write(part.read_bytes())
    return whole


class Envoy:
    """Runs as long as the `with` block."""

    def __init__(self, directory: Path, configuration: dict[str, Any]):
        directory.mkdir()
        configuration["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        for listener in configuration["static_resources"]["listeners"]:
            if "pipe" not in listener["address"]:
                listener["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
        file, self._admin = directory / "envoy.json", directory / "admin"
        file.write_text(json.dumps(configuration))
        self.log = directory / "log"
        flags = ["--concurrency", "2", "--use-dynamic-base-id", "--admin-address-path", str(self._admin)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program(), "-c", str(file), *flags, "--log-level", "warning"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Envoy":
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (self._admin.exists() and self.asked("/ready", quietly=True) == "LIVE\n"):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        listeners = json.loads(self.asked("/listeners?format=json"))["listener_statuses"]
        sockets = {listener["name"]: listener["local_address"].get("socket_address") for listener in listeners}
        self.addresses = {name: f"127.0.0.1:{socket['port_value']}" for name, socket in sockets.items() if socket}

    def __exit__(self, *_) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def asked(self, path: str, quietly: bool = False) -> str:
        """What the administration interface says."""
        try:
            with urllib.request.urlopen(f"http://{self._admin.read_text()}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if quietly:
                return ""
            raise

    def statistic(self, name: str) -> int:
        found = [line for line in self.asked(f"/stats?filter=^{name}$").splitlines() if line]
        return int(found[0].rpartition(": ")[2]) if found else 0


def called(channel: grpc.Channel, operation: str, metadata=(), **request):
    stub = contract.stub_class(contract.SERVICE)(channel)
    return getattr(stub, operation)(contract.request(operation, request), metadata=metadata, timeout=CALL_SECONDS)


def refused(channel: grpc.Channel, operation: str, **request) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        called(channel, operation, **request)
    return error.value
