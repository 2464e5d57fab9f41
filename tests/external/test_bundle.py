"""The command line for authors of templates, with the bundles in examples/ and nothing else running."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from server import BINARY

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "bundles"


def bundle(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BINARY, "bundle", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def render(directory: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return bundle("render", directory, "--spec", directory / "spec" / "spec.yaml", *arguments)


@pytest.mark.parametrize("name", sorted(str(path.parent.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*/schema")))
def test_every_example_renders_with_its_spec(name):
    done = render(EXAMPLES / name, "--json")
    assert done.returncode == 0, done.stderr
    parts = [deployment["part"] for deployment in json.loads(done.stdout)["deployments"]]
    expected = ["environment"] if name.endswith("environment") else ["service instance"] * 2 + ["pipeline"]
    assert parts == expected


def test_the_readme_runs_as_printed(tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    [block] = [block for block in blocks if "bundle render" in block]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(BINARY).resolve().parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    written = {str(path.relative_to(tmp_path / "rendered")) for path in (tmp_path / "rendered").rglob("*.yaml")}
    assert written == {
        "instances/staging/cloudformation.yaml",
        "instances/production/cloudformation.yaml",
        "pipeline/cloudformation.yaml",
    }


def test_what_is_wrong_is_named_with_its_place(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text("proton: EnvironmentSpec\nspec:\n  keep_objects_days: many\n")
    done = bundle("render", EXAMPLES / "cloudformation" / "environment", "--spec", spec)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {spec}: ")
    assert "keep_objects_days" in done.stderr


def test_an_unknown_option_is_a_usage_error():
    assert bundle("render", EXAMPLES, "--nonsense").returncode == 64
