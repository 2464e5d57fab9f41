"""Kills the server again and again while clients write to it through both doors, and looks whether it kept its word.

A round is: clients write, the server is killed, sometimes again while it starts, and then everything is read: every
acknowledged write is there, no version number was given twice, every registration ends with the right verdict, and
counts are those of what is listed. The last round fills the account up, so that the quotas' own counters show as well.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Callable

import contract
from facts import Creation, Facts
from server import Server
from wires import AwsJson, Grpc
from witness import Seen, compare
from world import KINDS, registered
from writers import MIXED, REGISTERING, SHARED, Writer, put_bundles

CLIENTS = 6
QUOTA = 1000

# What the clients do, how often that is chosen, and for how many seconds they do it at most.
MOMENTS = [("writes", 3, MIXED, 1.0), ("registrations", 2, REGISTERING, 0.3)]
KILL_WHILE_STARTING = 0.3


class Crash:
    """A server on one data directory, with the clients that write to it."""

    def __init__(self, directory: Path, seed: int, report: Callable[[str], None]):
        self.directory, self.seed, self.report = directory, seed, report
        self.plan = random.Random(seed)
        self.facts = Facts()
        self.kills = 0
        self.start_seconds = 0.1
        self.server = self.start()

    def start(self) -> Server:
        began = time.monotonic()
        server = Server(self.directory).__enter__()
        self.start_seconds = time.monotonic() - began
        self.doors = [AwsJson(server), Grpc(server)]
        return server

    def run(self, kills: int) -> None:
        try:
            self.prepare()
            while self.kills < kills - 1 and not self.facts.violations:
                self.round(kills - 1 - self.kills)
            if not self.facts.violations:
                self.fill_up()
        finally:
            self.server.__exit__()

    def writer(self, client: str, door: int) -> Writer:
        return Writer(client, self.doors[door], self.facts, random.Random(f"{self.seed} {self.kills} {client}"))

    def prepare(self) -> None:
        """Makes the shared templates, each with a version 1.0 that stays."""
        put_bundles(self.server)
        setup = self.writer("setup", 0)
        for kind in KINDS:
            setup.make_template(kind, SHARED)
            setup.make_version(kind, SHARED, None, "small")
            registered(setup.wire, kind, SHARED, "1", "0")

    def round(self, kills_left: int) -> None:
        ((name, _, weights, most_seconds),) = self.plan.choices(MOMENTS, [often for _, often, *_ in MOMENTS])
        seconds = self.plan.uniform(0, most_seconds)
        before = self.facts.figures.copy()
        self.kill_while(lambda writer: writer.run(weights), seconds)
        unanswered = [made for made in self.facts.creations.values() if made.number is None]
        starts = self.kill_while_starting(kills_left - 1)
        self.server = self.start()
        door = self.plan.randrange(2)
        self.look(door)
        self.ask_again(unanswered, 1 - door)
        self.tell(f"{name} for {seconds:.2f} s" + f", then {starts} starts" * (starts > 0), before)

    def kill_while(self, work: Callable[[Writer], Any], seconds: float) -> None:
        writers = [self.writer(f"client-{number}", number % 2) for number in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            working = [pool.submit(work, writer) for writer in writers]
            early, _ = wait(working, timeout=seconds, return_when=FIRST_COMPLETED)
            self.kill(self.server)
        for ended in working:
            ended.result()
        if early and not self.facts.violations:
            self.facts.violate("wrong", "a call had no answer before the server was killed")
        self.server.channel.close()

    def kill_while_starting(self, kills_left: int) -> int:
        """Kills up to two starts, anywhere between the first instruction and the first resumed registrations."""
        starts = 0
        while starts < min(2, kills_left) and self.plan.random() < KILL_WHILE_STARTING:
            server = Server(self.directory)
            time.sleep(self.plan.uniform(0, 1.5 * self.start_seconds))
            self.kill(server)
            starts += 1
        return starts

    def kill(self, server: Server) -> None:
        server.kill()
        self.kills += 1

    def look(self, door: int) -> None:
        compare(self.facts, Seen(self.doors[door]))

    def ask_again(self, unanswered: list[Creation], door: int) -> None:
        """Repeats creations that had no answer, whichever door they took: what was made already is the answer then."""
        for creation in unanswered:
            self.writer(creation.client, door).ask(creation)

    def fill_up(self) -> None:
        """Fills the account until the quotas are reached, kills the server, and looks whether they still are."""
        before = self.facts.figures.copy()
        writers = [self.writer(f"client-{number}", number % 2) for number in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            for filled in [pool.submit(writer.fill) for writer in writers]:
                filled.result()
        self.check_full()
        self.kill(self.server)
        self.server = self.start()
        self.writer("client-0", 0).fill()
        self.check_full()
        self.look(1)
        self.tell("the account full", before)

    def check_full(self) -> None:
        templates = len(self.facts.known("template"))
        versions = [fact for fact in self.facts.known("version") if fact[1:3] == ("EnvironmentTemplate", SHARED)]
        for what, number in {"templates": templates, "versions of a template": len(versions)}.items():
            self.facts.check("wrong", number == QUOTA, f"the account is full at {number} {what}, not at {QUOTA}")

    def tell(self, what: str, before: dict[str, int]) -> None:
        grown = {figure: number - before[figure] for figure, number in self.facts.figures.items()}
        self.report(
            f"kill {self.kills}: {what}; {grown['acknowledged']} writes acknowledged, {grown['unanswered']} unanswered, "
            f"{grown['registrations']} registrations, {grown['verified']} facts verified"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__.partition("\n")[0])
    parser.add_argument("kills", nargs="?", type=int, default=200, help="how often to kill the server [200]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="does the same again, but for timing")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()

    contract.generate_stubs()
    directory, began = Path(tempfile.mkdtemp(prefix="proton-grpc-crash-")), time.monotonic()
    crash = Crash(directory, given.seed, lambda line: print(line, file=sys.stderr, flush=True))
    crash.run(given.kills)
    figures = {"seed": given.seed, "kills": crash.kills, **crash.facts.figures}
    figures["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(figures) if given.json else ", ".join(f"{figure} {number}" for figure, number in figures.items()))
    for violation in crash.facts.violations:
        print(violation, file=sys.stderr)
    if crash.facts.violations:
        print(f"the data directory and the log are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
