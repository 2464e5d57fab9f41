"""Server processes on one store, which may be killed, stopped for a while and started again while clients talk to them."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from ids import Verbatim
from postgres import Postgres
from server import Server
from wires import AwsJson, Grpc, NoAnswer, Outcome

# How often a call is made that had no answer, as SDKs do it, and the first pause between.
TRIES = 10
PAUSE = 0.05

# What leaves open whether the call has happened.
UNANSWERED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


# Only what no transaction is at, whoever may have stopped in the middle of it.
FORFEIT = """\
UPDATE work SET due_at = run_at WHERE id IN
(SELECT id FROM work WHERE worker IS NOT NULL AND due_at > run_at FOR UPDATE SKIP LOCKED)"""


class Process:
    """A place for a server process, with one in it most of the time."""

    def __init__(self, directory: Path, bundles: Path, store: str | None):
        self.directory, self.bundles, self.store = directory, bundles, store
        self.server: Server | None = None
        self.former: list[Server] = []
        self.doors: list[AwsJson | Grpc] = []
        self.is_open = False
        self._calls = 0
        self._idle = threading.Condition()

    def begin(self, pace: int) -> None:
        """Starts the server, and does not wait for it."""
        self.former += [self.server] if self.server else []
        environment = {"PROTON_GRPC_PACE": str(pace)}
        if self.store:
            environment["PROTON_GRPC_STORE"] = self.store
        self.server = Server(self.directory, bundles=f"dir:{self.bundles}", environment=environment)
        self.server.ids = Verbatim()

    def ready(self) -> None:
        server = self.server.__enter__()
        self.doors = [AwsJson(server), Grpc(server)]
        self.is_open = True

    def kill(self) -> None:
        self.is_open = False
        self.server.kill()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops the process in the middle of whatever it does, but for calls: those go elsewhere by then. A call that is
        executed long after its caller has asked somebody else would break no promise, and confuse the witness."""
        self.is_open = False
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0)
        self.server.process.send_signal(signal.SIGSTOP)
        yield
        self.server.process.send_signal(signal.SIGCONT)
        self.is_open = True

    @contextmanager
    def calling(self) -> Iterator[bool]:
        """Notes a call for as long as it takes, unless the process takes none."""
        with self._idle:
            taken = self.is_open
            self._calls += taken
        try:
            yield taken
        finally:
            with self._idle:
                self._calls -= taken
                self._idle.notify_all()


class Cluster:
    """The processes, and the database if they share one."""

    def __init__(self, directory: Path, processes: int, shared: bool):
        self.database = Postgres() if shared else None
        url = self.database.url if self.database else None
        bundles = directory / "bundles"
        self.processes = [Process(directory / f"process-{number}", bundles, url) for number in range(processes)]
        self.bundles = bundles
        self.start_seconds = 0.5
        self.is_gone = True

    @property
    def is_alone(self) -> bool:
        """Whether calls have nowhere else to go."""
        return self.database is None

    def start(self, rng: random.Random) -> None:
        """Starts all at the same time."""
        began = time.monotonic()
        for process in self.processes:
            process.begin(pace(rng))
        for process in self.processes:
            process.ready()
        self.start_seconds = time.monotonic() - began
        self.is_gone = False

    def kill(self) -> None:
        self.is_gone = True
        for process in self.processes:
            process.kill()

    def close(self) -> None:
        """Lets go of connections to servers that have been killed."""
        for process in self.processes:
            while process.former:
                process.former.pop().close()

    def stop(self) -> None:
        for process in self.processes:
            if process.server:
                process.server.kill()
        if self.database:
            self.database.stop()

    def forfeit(self) -> None:
        """Lets all leases run out, as if their time had passed: whoever holds work now may lose it to somebody else."""
        if self.database:
            self.database.execute(FORFEIT)


def pace(rng: random.Random) -> int:
    """How many seconds deployments take: most take none, and some can be cancelled."""
    return rng.choice([0, 0, 1])


class Client:
    """One client's way to the cluster: through one sort of door, to whichever process is there. What has no answer is asked
    again, unless the server is alone: then it was killed."""

    def __init__(self, cluster: Cluster, door: int, rng: random.Random):
        self.cluster, self.door, self.rng = cluster, door, rng
        # How often the last call was made.
        self.tries = 0

    def call(self, operation: str, request: dict[str, Any]) -> Outcome:
        self.tries, last = 0, None
        while self.tries < (1 if self.cluster.is_alone else TRIES) and not self.cluster.is_gone:
            process = self.rng.choice(self.cluster.processes)
            with process.calling() as taken:
                if taken:
                    self.tries += 1
                    try:
                        last = process.doors[self.door].call(operation, request)
                    except NoAnswer as none:
                        last = none
            if isinstance(last, Outcome) and last.status not in UNANSWERED:
                return last
            time.sleep(PAUSE * min(self.tries + 1, 10) if taken else PAUSE)
        if isinstance(last, Outcome) and self.cluster.is_alone:
            return last
        raise NoAnswer(f"{operation}: {last}")

    def entries(self, operation: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        return self.rng.choice(self.cluster.processes).doors[self.door].entries(operation, request)
