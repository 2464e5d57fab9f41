"""What every test here starts from: the built server, and stubs generated from the contract."""

import contextlib
import itertools
import sys

import pytest

import contract
from server import Server

sys.dont_write_bytecode = True


def pytest_configure() -> None:
    """Generates the stubs before any test module is imported: protovalidate and the test ids are built on them."""
    contract.generate_stubs()


@pytest.fixture
def start(tmp_path):
    """Starts servers that live as long as the test, each with a data directory of its own."""
    numbers = itertools.count(1)
    with contextlib.ExitStack() as servers:
        yield lambda **options: servers.enter_context(Server(tmp_path / f"server-{next(numbers)}", **options))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server for the tests of one file."""
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server
