"""Attacks a server of its own and measures what that costs: the server, next to what it cost the attacker; its memory; and
how long a client that means no harm waits for its answers meanwhile. `scripts/attacks` runs it."""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from attackers import ATTACKS
from certificates import Authority
from server import Server

ATTACKERS = Path(__file__).with_name("attackers.py")
# What the clocks tell apart: less than that is nothing.
TICK = 0.01


@dataclass
class Figures:
    front: str
    attack: str
    attacker_cpu: float
    server_cpu: float
    grown_mib: float
    connections: int
    median_ms: float
    p99_ms: float
    failed: int

    @property
    def ratio(self) -> float:
        return self.server_cpu / max(self.attacker_cpu, TICK)


class Field:
    """A server on both fronts, and for attacks on TLS one that speaks it."""

    def __init__(self, directory: Path, flags: list[str] | None = None):
        self.directory, self.flags = directory, flags or []
        self.servers = contextlib.ExitStack()

    def __enter__(self) -> "Field":
        certificate, key = Authority(self.directory / "authority").issue("server")
        tls = [f"--tls-cert={certificate}", f"--tls-key={key}"]
        with self.servers:
            self.plain = self.servers.enter_context(Server(self.directory / "plain", flags=self.flags))
            self.secure = self.servers.enter_context(Server(self.directory / "secure", flags=[*self.flags, *tls]))
            self.servers = self.servers.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self.servers.close()

    def server(self, front: str) -> Server:
        return self.secure if front == "TLS" else self.plain

    def address(self, front: str) -> tuple[str, int]:
        server = self.server(front)
        host, port = (server.aws_json.removeprefix("http://") if front == "AWS-JSON" else server.grpc).split(":")
        return host, int(port)

    def attack(self, front: str, name: str | None, seconds: float, calm: Figures | None = None) -> Figures:
        """What an attack does, or none. The caller's own share is what a calm server took for it."""
        server = self.server(front)
        process = server.process.pid
        resident = memory(process, "VmRSS")
        Path(f"/proc/{process}/clear_refs").write_text("5")
        before = cpu_seconds(process)
        attacker = run(front, name, self.address(front), seconds) if name else None
        caller = told(run(front, "caller", self.address("TLS" if front == "TLS" else "gRPC"), seconds))
        harm = told(attacker) if attacker else {"cpu": 0.0, "connections": 0}
        used = when_quiet(process) - before
        took = sorted(caller["took"])
        return Figures(
            front=front,
            attack=name or "calm",
            attacker_cpu=harm["cpu"],
            server_cpu=max(0.0, used - (calm.server_cpu if calm else 0.0)),
            grown_mib=(memory(process, "VmHWM") - resident) / 1024,
            connections=harm["connections"],
            median_ms=statistics.median(took) * 1000,
            p99_ms=took[len(took) * 99 // 100] * 1000,
            failed=caller["failed"],
        )


def run(front: str, name: str, address: tuple[str, int], seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-B", ATTACKERS, front, name, *map(str, address), str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen) -> dict:
    try:
        return json.loads(process.communicate(timeout=120)[0])
    finally:
        process.kill()
        process.wait()


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def when_quiet(process: int) -> float:
    """The CPU that a process has used when it is done with what it was left with."""
    used = None
    for _ in range(150):
        used, before = cpu_seconds(process), used
        if before is not None and used - before <= TICK:
            break
        time.sleep(0.3)
    return used


def memory(process: int, what: str) -> int:
    return int(re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())[1])


def measure(field: Field, seconds: float, only: str = "") -> Iterator[Figures]:
    for front, attacks in ATTACKS.items():
        chosen = [name for name in attacks if only in f"{front} {name}"]
        if chosen:
            calm = field.attack(front, None, seconds)
            yield calm
            for name in chosen:
                yield field.attack(front, name, seconds, calm)


def line(figures: Figures) -> str:
    return (
        f"{figures.front:8} {figures.attack:36} {figures.attacker_cpu:8.3f} {figures.server_cpu:8.2f} {figures.ratio:7.1f}"
        f" {figures.grown_mib:8.1f} {figures.connections:7} {figures.median_ms:8.2f} {figures.p99_ms:8.2f} {figures.failed:6}"
    )


HEAD = (
    f"{'front':8} {'attack':36} {'its CPU':>8} {'ours':>8} {'ratio':>7} {'+MiB':>8} {'connect':>7} {'p50 ms':>8} {'p99 ms':>8}"
    f" {'failed':>6}"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/attacks", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each attack takes [3]")
    parser.add_argument("--only", default="", metavar="WORDS", help="attacks whose names have these words")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proton-grpc-attacks-") as directory, Field(Path(directory)) as field:
        found = []
        if not given.json:
            print(HEAD)
        for figures in measure(field, given.seconds, given.only):
            found.append({**asdict(figures), "ratio": figures.ratio})
            if not given.json:
                print(line(figures), flush=True)
        if given.json:
            print(json.dumps(found))


if __name__ == "__main__":
    main()
