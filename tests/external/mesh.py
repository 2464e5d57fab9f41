"""What a mesh does to calls, for as long as one likes: `scripts/mesh lossy` and `scripts/mesh restarts`."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import contract
from mutations import lossy
from rolling import restarts

# Each with how often by default, and with what must be none at the end.
RUNS = {"lossy": (lossy, 10_000, ["lost", "duplicated"]), "restarts": (restarts, 100, ["failed"])}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mesh", description=__doc__.partition("\n")[0])
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("number", nargs="?", type=int, help="how many changes, or restarts")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    # Whoever is told to end leaves no servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    contract.generate_stubs()
    run, usual, forbidden = RUNS[given.run]
    directory, began = Path(tempfile.mkdtemp(prefix="proton-grpc-mesh-")), time.monotonic()
    figures = run(directory, given.number or usual)
    figures["seconds"] = round(time.monotonic() - began, 1)
    table = "\n".join(f"{figure:20}{value:>12}" for figure, value in figures.items())
    print(json.dumps(figures) if given.json else table)
    if any(figures[figure] for figure in forbidden):
        print(f"data directories and logs are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
