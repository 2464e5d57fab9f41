"""Processes behind an Envoy that are restarted one after the other, while clients call at a steady rate and repeat nothing."""

import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

import contract
import envoy
from certificates import Authority
from envoy import Envoy
from postgres import Postgres
from server import ENVIRONMENT_BUNDLE, Server, put_bundle
from world import ENVIRONMENT_SOURCE

REPLICAS = 2
CLIENTS = 10
CALLS_A_SECOND = 100
CALL_SECONDS = 20
DRAIN_SECONDS = 40
HEALTHY_SECONDS = 60


class Load:
    """Clients that read and write, each call at its time whether those before were fast or slow."""

    def __init__(self, channels: list[grpc.Channel]):
        self.stubs = [contract.stub_class(contract.SERVICE)(channel) for channel in channels]
        self.failed: list[str] = []
        self.seconds: list[float] = []
        self._enough = threading.Event()

    def stop(self) -> None:
        self._enough.set()

    def run(self, client: int) -> None:
        stub, began = self.stubs[client], time.monotonic()
        template = contract.request("CreateEnvironmentTemplate", {"name": f"t{client}"})
        stub.CreateEnvironmentTemplate(template, timeout=CALL_SECONDS)
        for number in range(1 << 20):
            due = began + (number + client / CLIENTS) * CLIENTS / CALLS_A_SECOND
            if self._enough.wait(max(0.0, due - time.monotonic())):
                return
            operation, request = call_of(client, number)
            begun = time.monotonic()
            try:
                getattr(stub, operation)(contract.request(operation, request), timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                self.failed.append(f"{time.strftime('%X')} {operation}: {error.code().name}: {error.details()}")
            self.seconds.append(time.monotonic() - begun)

    def figures(self, seconds: float) -> dict[str, float]:
        took = sorted(1000 * each for each in self.seconds)
        return {
            "calls": len(took),
            "calls_a_second": round(len(took) / seconds, 1),
            "failed": len(self.failed),
            "median_ms": round(took[len(took) // 2], 1),
            "p99_ms": round(took[len(took) * 99 // 100], 1),
            "slowest_ms": round(took[-1], 1),
        }


def call_of(client: int, number: int) -> tuple[str, dict]:
    """Two reads for every write."""
    template = f"t{client}"
    match number % 6:
        case 1:
            return "UpdateEnvironmentTemplate", {"name": template, "description": f"the {number}th"}
        case 3 if number % 60 == 3:
            return "CreateEnvironmentTemplateVersion", {"templateName": template, "source": ENVIRONMENT_SOURCE}
        case 3:
            return "CreateServiceTemplate", {"name": f"{template}n{number}"}
        case 0 | 4:
            return "ListEnvironmentTemplates", {"maxResults": 10}
    return "GetEnvironmentTemplate", {"name": template}


class Replica:
    """A place for a process, which comes back at its address."""

    def __init__(self, directory: Path, bundles: Path, flags: list[str]):
        self.directory, self.bundles, self.flags = directory, bundles, flags
        self.address = "127.0.0.1:0"
        self.server: Server | None = None

    def start(self) -> None:
        flags = [*self.flags, f"--listen={self.address}"]
        self.server = Server(self.directory, bundles=f"dir:{self.bundles}", flags=flags).__enter__()
        self.address = self.server.grpc

    def stop(self) -> int:
        self.server.process.send_signal(signal.SIGTERM)
        try:
            return self.server.process.wait(DRAIN_SECONDS)
        finally:
            self.server.close()

    def kill(self) -> None:
        if self.server:
            self.server.kill()


def restarts(directory: Path, number: int, drain_wait: int = 2) -> dict[str, float]:
    """Restarts one process after the other so often, each when all are healthy."""
    authority, database = Authority(directory / "authority"), Postgres()
    put_bundle(directory / "bundles", "bundles", "environment.tar.gz", ENVIRONMENT_BUNDLE)
    certificate, key = authority.issue("server")
    flags = [f"--tls-cert={certificate}", f"--tls-key={key}", f"--store={database.url}", f"--drain-wait={drain_wait}"]
    flags += ["--quota=templates=1000000", "--quota=versions-per-template=1000000"]
    replicas = [Replica(directory / f"replica-{name}", directory / "bundles", flags) for name in range(REPLICAS)]
    try:
        for replica in replicas:
            replica.start()
        with Server(directory / "described") as plain:
            described = envoy.describe(plain, directory)
        with Envoy(directory / "envoy", envoy.edge(authority, described, *(replica.address for replica in replicas))) as edge:
            return under_load(authority, replicas, edge, number)
    finally:
        for replica in replicas:
            replica.kill()
        database.stop()


def under_load(authority: Authority, replicas: list[Replica], edge: Envoy, number: int) -> dict[str, float]:
    trusted = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    address = edge.addresses["edge"].replace("127.0.0.1", "localhost")
    once = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    load, began = Load([grpc.secure_channel(address, trusted, once) for _ in range(CLIENTS)]), time.monotonic()
    await_healthy(edge)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(load.run, client) for client in range(CLIENTS)]
        try:
            for restart in range(number):
                replica = replicas[restart % REPLICAS]
                ended = replica.stop()
                assert ended == 0, f"a drained process ended with {ended}: {replica.server.log.read_text()}"
                replica.start()
                await_healthy(edge)
        finally:
            load.stop()
    for client in clients:
        client.result()
    for failure in load.failed:
        print(failure, file=sys.stderr)
    repeats = edge.statistic("cluster.proton-grpc.upstream_rq_retry")
    return {"restarts": number, **load.figures(time.monotonic() - began), "repeated_by_envoy": repeats}


def await_healthy(edge: Envoy) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while edge.statistic("cluster.proton-grpc.membership_healthy") < REPLICAS:
        assert time.monotonic() < deadline, edge.log.read_text()
        time.sleep(0.05)
