"""Whether an advisory against something that is shipped stops a release: scripts/advisories, on databases made here."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADVISORY = """\
```toml
[advisory]
id = "RUSTSEC-2020-9999"
package = "bytes"
date = "2020-01-01"

[versions]
patched = ["{patched}"]
```

# Bytes bite

They do.
"""


@pytest.fixture
def check(tmp_path):
    """Runs the check on a database that holds one advisory, against `bytes`."""

    def run(patched: str) -> subprocess.CompletedProcess:
        crate = tmp_path / "crates" / "bytes"
        crate.mkdir(parents=True)
        (crate / "RUSTSEC-2020-9999.md").write_text(ADVISORY.format(patched=patched))
        git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "One advisory"]):
            subprocess.run([*git, *command], check=True)
        tools = Path(os.environ["PROTON_GRPC_TOOLS"]) / "bin"
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        return subprocess.run([ROOT / "scripts/advisories", tmp_path], env=environment, capture_output=True, text=True)

    return run


def locked(name: str) -> str:
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return next(package["version"] for package in packages if package["name"] == name)


def test_an_advisory_against_what_is_locked_fails(check):
    done = check(f">{locked('bytes')}")
    assert done.returncode != 0
    assert "RUSTSEC-2020-9999" in done.stderr


def test_an_advisory_that_is_mended_here_passes(check):
    done = check(f">={locked('bytes')}")
    assert done.returncode == 0, done.stderr
    assert "advisories ok" in done.stdout + done.stderr
