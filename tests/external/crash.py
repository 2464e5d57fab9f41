"""Kills servers again and again while clients write to them through both doors, and looks whether they kept their word.

A round is: clients write and have things deployed, servers are killed, in the end all at once and sometimes again while they
start, and then everything is read: every acknowledged write is there, no version number was given twice, every registration
and every deployment has come to its one right end, and counts are those of what is listed. The last round fills the account
up, so that the quotas' own counters show as well.

Where several processes share a database, clients turn to another one when they have no answer. Then more happens in a round:
processes are killed one by one, are stopped until others have taken over their work and go on as if nothing had happened,
and the database is restarted or crashes.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Callable

import contract
from cluster import Client, Cluster, pace
from deeds import Deeds
from deployed import Ledger, at_rest
from deployers import BUNDLES, DEPLOYED, DEPLOYING, REPOSITORY, Deployer, put_deployed_bundles
from facts import Creation, Facts
from witness import Seen, compare
from world import CONNECTION, KINDS, ROLE, must, registered
from writers import MIXED, REGISTERING, SHARED, Writer, put_bundles

WRITERS = 4
DEPLOYERS = 4
QUOTA = 1000

# What the clients do, how often that is chosen, and for how many seconds they do it at most.
MOMENTS = [("writes", 3, MIXED, 1.0), ("registrations", 2, REGISTERING, 0.3)]
KILL_WHILE_STARTING = 0.3

# What else happens where the store is shared, and how often that is chosen.
FAULTS = {"kill_one": 6, "stop_one": 2, "restart_database": 1, "crash_database": 1}
MOST_FAULTS = 4

# How often nothing but time ends a lease, where there is time.
PATIENCE = 0.03
LEASE_SECONDS = 60

# How many looks there are to one that reads all deployments there ever were.
COMPLETELY = 25


class Crash:
    """Servers on one store, with the clients that write to them."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        report: Callable[[str], None],
        processes: int = 1,
        shared: bool = False,
        patient: bool = False,
    ):
        self.seed, self.report, self.patient = seed, report, patient
        self.plan = random.Random(seed)
        self.facts, self.deeds = Facts(), Deeds()
        self.ledger = Ledger(self.facts, self.deeds)
        self.done = Counter(kills=0, stops=0, databases=0)
        self.looks = 0
        self.cluster = Cluster(directory, processes, shared)

    def run(self, kills: int, fill: bool = True) -> None:
        size = len(self.cluster.processes)
        try:
            self.prepare()
            while self.done["kills"] < kills - size * fill and not self.facts.violations:
                self.round(kills - size * fill - self.done["kills"])
            if fill and not self.facts.violations:
                self.fill_up()
            else:
                self.look(0, completely=True)
        finally:
            self.cluster.stop()

    def client(self, name: str, door: int) -> tuple[str, Client, Facts, random.Random]:
        rng = random.Random(f"{self.seed} {self.done['kills']} {name}")
        return name, Client(self.cluster, door, rng), self.facts, rng

    def writers(self) -> list[Writer]:
        return [Writer(*self.client(f"client-{number}", number % 2)) for number in range(WRITERS)]

    def deployers(self) -> list[Deployer]:
        clients = [self.client(f"owner-{number}", number % 2) for number in range(DEPLOYERS)]
        return [Deployer(name, wire, facts, self.deeds, rng) for name, wire, facts, rng in clients]

    def prepare(self) -> None:
        """Makes the shared templates, each with a version 1.0 that stays, and what is needed for deployments. The first start,
        which makes the store, is killed as well."""
        put_bundles(self.cluster.bundles)
        put_deployed_bundles(self.cluster.bundles)
        self.kill_start()
        self.cluster.start(self.plan)
        setup = Writer(*self.client("setup", 0))
        shared, deployed = [(kind, SHARED, "small") for kind in KINDS], [(kind, name, name) for kind, name in BUNDLES]
        for kind, template, bundle in shared + deployed:
            setup.make_template(kind, template)
            setup.make_version(kind, template, None, bundle)
            registered(setup.wire, kind, template, "1", "0")
            made = setup.versions[-1]
            published = {**setup.named(made), "status": "PUBLISHED"}
            setup.write(made.fact, (made.marker, True), f"Update{kind}Version", published)
        setup.write(("role", "pipelineServiceRoleArn"), ROLE, "UpdateAccountSettings", {"pipelineServiceRoleArn": ROLE})
        must(setup.wire, "CreateRepository", **REPOSITORY, connectionArn=CONNECTION)

    def round(self, kills_left: int) -> None:
        ((name, _, weights, most_seconds),) = self.plan.choices(MOMENTS, [often for _, often, *_ in MOMENTS])
        seconds = self.plan.uniform(0, most_seconds)
        before = self.facts.figures.copy()
        patient = self.patient and self.plan.random() < PATIENCE
        happened = self.while_clients_write(weights, lambda: self.disturb(kills_left, seconds, patient))
        unanswered = [made for made in self.facts.creations.values() if made.number is None]
        happened += self.kill_while_starting(kills_left - len(self.cluster.processes) - happened.count("kill_one"))
        if not patient:
            self.cluster.forfeit()
        self.cluster.start(self.plan)
        door = self.plan.randrange(2)
        self.look(door)
        self.ask_again(unanswered, 1 - door)
        self.tell(" ".join([f"{name} for {seconds:.2f} s", *happened]), before)

    def while_clients_write(self, weights: dict[str, int], disturb: Callable[[], list[str]]) -> list[str]:
        clients = [(writer, weights) for writer in self.writers()]
        clients += [(deployer, DEPLOYING) for deployer in self.deployers()]
        enough = Event()
        with ThreadPoolExecutor(len(clients)) as pool:
            working = [pool.submit(client.run, of, enough) for client, of in clients]
            try:
                happened = disturb()
                early, _ = wait(working, timeout=0, return_when=FIRST_COMPLETED)
                self.kill()
            finally:
                enough.set()
        for ended in working:
            ended.result()
        if early and self.cluster.is_alone and not self.facts.violations:
            self.facts.violate("wrong", "a call had no answer before the server was killed")
        self.cluster.close()
        return happened

    def disturb(self, kills_left: int, seconds: float, patient: bool) -> list[str]:
        """Lets the clients write for a while, and whatever happens meanwhile happen."""
        if self.cluster.is_alone:
            time.sleep(seconds)
            return []
        happened = ["wait_out_a_lease"] if patient else []
        faults = min(self.plan.randint(0, MOST_FAULTS), kills_left - len(self.cluster.processes))
        happened += self.plan.choices(list(FAULTS), list(FAULTS.values()), k=max(0, faults))
        for fault in happened:
            time.sleep(self.plan.uniform(0, 1.5 * seconds))
            getattr(self, fault)()
        time.sleep(seconds)
        return happened

    def kill(self) -> None:
        self.cluster.kill()
        self.done["kills"] += len(self.cluster.processes)

    def kill_one(self) -> None:
        process = self.plan.choice(self.cluster.processes)
        process.kill()
        self.done["kills"] += 1
        process.begin(pace(self.plan))
        process.ready()

    def stop_one(self) -> None:
        """Stops a process for so long that it loses its work to others, and lets it go on."""
        with self.plan.choice(self.cluster.processes).stopped():
            self.cluster.forfeit()
            time.sleep(self.plan.uniform(0.3, 1.5))
        self.done["stops"] += 1

    def wait_out_a_lease(self) -> None:
        """As `stop_one`, but nobody helps the time along."""
        with self.plan.choice(self.cluster.processes).stopped():
            time.sleep(LEASE_SECONDS + self.plan.uniform(2, 5))
        self.done["stops"] += 1

    def restart_database(self) -> None:
        self.cluster.database.restart("fast")
        self.done["databases"] += 1

    def crash_database(self) -> None:
        self.cluster.database.restart("immediate")
        self.done["databases"] += 1

    def kill_while_starting(self, kills_left: int) -> list[str]:
        """Kills up to two starts, anywhere between the first instruction and the first resumed registrations."""
        starts: list[str] = []
        while len(starts) < 2 and kills_left >= len(self.cluster.processes) and self.plan.random() < KILL_WHILE_STARTING:
            self.kill_start()
            kills_left -= len(self.cluster.processes)
            starts.append("kill_while_starting")
        return starts

    def kill_start(self) -> None:
        for process in self.cluster.processes:
            process.begin(pace(self.plan))
        time.sleep(self.plan.uniform(0, 1.5 * self.cluster.start_seconds))
        self.kill()

    def look(self, door: int, completely: bool = False) -> None:
        self.looks += 1
        process = self.plan.choice(self.cluster.processes)
        deployed = at_rest(process.doors[0], self.facts)
        values = deployed.values(self.facts)
        compare(self.facts, Seen(process.doors[door]), values, deployed.counts())
        self.ledger.look(deployed, completely or self.looks % COMPLETELY == 0)

    def ask_again(self, unanswered: list[Creation], door: int) -> None:
        """Repeats creations that had no answer, whichever door they took: what was made already is the answer then."""
        for creation in unanswered:
            Writer(*self.client(creation.client, door)).ask(creation)

    def fill_up(self) -> None:
        """Fills the account until the quotas are reached, kills the servers, and looks whether they still are."""
        before = self.facts.figures.copy()
        writers = self.writers()
        with ThreadPoolExecutor(len(writers)) as pool:
            for filled in [pool.submit(writer.fill) for writer in writers]:
                filled.result()
        self.check_full()
        self.kill()
        self.cluster.forfeit()
        self.cluster.start(self.plan)
        self.writers()[0].fill()
        self.check_full()
        self.look(1, completely=True)
        self.tell("the account full", before)

    def check_full(self) -> None:
        templates = len(self.facts.known("template"))
        versions = [fact for fact in self.facts.known("version") if fact[1:3] == ("EnvironmentTemplate", SHARED)]
        for what, number in {"templates": templates, "versions of a template": len(versions)}.items():
            self.facts.check("wrong", number == QUOTA, f"the account is full at {number} {what}, not at {QUOTA}")

    def figures(self) -> dict[str, int]:
        return {**self.done, "deployments": len(self.ledger.deployments), **self.facts.figures}

    def tell(self, what: str, before: dict[str, int]) -> None:
        grown = {figure: number - before[figure] for figure, number in self.facts.figures.items()}
        self.report(
            f"kill {self.done['kills']}: {what}; {grown['acknowledged']} writes acknowledged, {grown['unanswered']} unanswered, "
            f"{grown['registrations']} registrations, {len(self.ledger.deployments)} deployments, {grown['verified']} facts verified"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__.partition("\n")[0])
    parser.add_argument("kills", nargs="?", type=int, default=200, help="how often to kill a server at least [200]")
    seed = random.randrange(1 << 32)
    parser.add_argument("--seed", type=int, default=seed, help="does the same again, but for timing")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite", help="what keeps everything [sqlite]")
    parser.add_argument("--processes", type=int, help="how many servers share the store [3, on SQLite 1]")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    # Whoever is told to end leaves no servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shared = given.store == "postgres"
    processes = given.processes or (3 if shared else 1)
    if processes > 1 and not shared:
        parser.error("only servers on PostgreSQL share a store")

    contract.generate_stubs()
    directory, began = Path(tempfile.mkdtemp(prefix="proton-grpc-crash-")), time.monotonic()
    report = lambda line: print(line, file=sys.stderr, flush=True)
    crash = Crash(directory, given.seed, report, processes, shared, patient=given.kills >= 100)
    crash.run(given.kills)
    figures = {"seed": given.seed, "store": given.store, "processes": processes, **crash.figures()}
    figures["seconds"] = round(time.monotonic() - began, 1)
    table = "\n".join(f"{figure:14}{value:>12}" for figure, value in figures.items())
    print(json.dumps(figures) if given.json else table)
    for violation in crash.facts.violations:
        print(violation, file=sys.stderr)
    if crash.facts.violations:
        print(f"data directories and logs are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
