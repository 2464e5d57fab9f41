"""Whether the bill of materials lists what is linked into the binary, and nothing else: scripts/sbom."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bill() -> dict:
    return json.loads(subprocess.run([ROOT / "scripts/sbom"], check=True, capture_output=True).stdout)


def names(bill: dict) -> set[str]:
    return {component["name"] for component in bill["components"]}


def test_it_lists_what_is_linked_and_not_what_builds_or_tests(bill):
    assert {"tonic", "rustls", "aws-sdk-proton", "aws-lc-sys", "sqlite", "aws-lc", "mimalloc"} <= names(bill)
    assert names(bill).isdisjoint({"syn", "serde_derive", "protox", "prost-build", "proptest", "rcgen", "cc"})


def test_every_crate_is_the_one_that_is_locked(bill):
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    locked = {(package["name"], package["version"]): package.get("checksum") for package in lock}
    crates = [component for component in bill["components"] if component["purl"].startswith("pkg:cargo/")]
    assert crates
    for crate in crates:
        assert crate["hashes"] == [{"alg": "SHA-256", "content": locked[crate["name"], crate["version"]]}]
        assert crate["licenses"]


def test_every_component_is_needed_by_another(bill):
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    reached, left = set(), [bill["metadata"]["component"]["bom-ref"]]
    while left:
        ref = left.pop()
        if ref not in reached:
            reached.add(ref)
            left.extend(needs[ref])
    assert reached - {bill["metadata"]["component"]["bom-ref"]} == {entry["bom-ref"] for entry in bill["components"]}
