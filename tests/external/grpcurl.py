"""The grpcurl command line, in the versions that people have."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

TOOLS = Path(os.environ.get("PROTON_GRPC_TOOLS", Path(__file__).parents[2] / "target" / "tools"))
VERSIONS = {"current": "grpcurl", "1.8.6": "grpcurl-1.8.6"}

# A status that grpcurl exits with, above which it adds the status code.
STATUS_EXIT = 64


def grpcurl(version: str, address: str, *arguments: str, data: dict[str, Any] | None = None) -> subprocess.CompletedProcess:
    flags = ["-plaintext", "-max-time", "20", *(["-d", json.dumps(data)] if data is not None else [])]
    command = [TOOLS / "bin" / VERSIONS[version], *flags, address, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
