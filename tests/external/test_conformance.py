"""The conformance suite of connectrpc, on the server that `serve` runs: gRPC over HTTP/2, with and without TLS."""

import os
import re
import subprocess
from pathlib import Path

from grpcurl import TOOLS

REPOSITORY = Path(__file__).parents[2]
SERVER = Path(os.environ.get("PROTON_GRPC_CONFORMANCE", REPOSITORY / "target" / "debug" / "examples" / "conformance"))

# What the suite does not expect, and why it is so here.
EXPLAINED = {
    "actual error contain 2 details; expecting 0": "every error of the server has an ErrorInfo and a RequestInfo",
}
# The suite has more cases than this of what the server speaks.
CASES = 450


def test_grpc_is_spoken_as_specified():
    command = [TOOLS / "bin" / "connectconformance", "--mode=server", "--conf", REPOSITORY / "tests/conformance/config.yaml"]
    ran = subprocess.run([*command, "--", SERVER], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    told = ran.stdout + ran.stderr
    counted = re.search(r"Total cases: (\d+)\n(\d+) passed, (\d+) failed", told)
    assert counted, told
    total, passed, failed = map(int, counted.groups())
    assert total == passed + failed and passed > CASES

    found = re.findall(r"^FAILED: (.*):\n((?:\t.*\n)+)", told, re.MULTILINE)
    assert len(found) == failed, told
    assert [(case, why) for case, why in found if why.strip() not in EXPLAINED] == []
