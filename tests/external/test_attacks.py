"""Clients that mean harm get no more than they pay for. `scripts/attacks` does the same for longer and prints the figures."""

import contextlib
import select
import socket
import time

import pytest

from attackers import ATTACKS, Caller
from attacks import Field

# The debug build that is tested here is some ten times slower than the one that is shipped, whose goal is 100.
MOST_RATIO = 1000
# A hundred calls at a time are what a connection may have, each with all that it takes to answer it.
MOST_MIB, MOST_MIB_A_CONNECTION = 64, 2
SECONDS = 0.5
# What the server waits for a client to say what it wants, and how much later it may have noticed.
PATIENCE, SLACK = 10, 5

# Attacks that no client makes by mistake: its connection ends.
THROWN_OUT = {
    *(name for name in ATTACKS["gRPC"] if name.startswith(("rapid reset", "made you reset", "continuation"))),
    "too many streams",
    "settings acknowledged",
    "push promise",
    "empty data",
    "padding only",
    "HPACK bomb",
    "many headers",
}


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    with Field(tmp_path_factory.mktemp("attacks")) as field:
        yield field


@pytest.fixture(scope="module")
def peace(field):
    """What the servers take for a caller alone."""
    return {front: field.attack(front, None, SECONDS) for front in ATTACKS}


@pytest.mark.parametrize(("front", "name"), [(front, name) for front, attacks in ATTACKS.items() for name in attacks])
def test_an_attack_costs_little_and_ends(field, peace, front, name):
    figures = field.attack(front, name, SECONDS, peace[front])
    print(figures)
    assert figures.ratio < MOST_RATIO
    assert figures.grown_mib < MOST_MIB + MOST_MIB_A_CONNECTION * figures.connections
    if front == "gRPC" and name in THROWN_OUT:
        assert figures.connections > 1
    assert field.server(front).process.poll() is None
    # Whoever calls now is answered.
    secure = front == "TLS"
    Caller(field.address("TLS" if secure else "gRPC"), secure).call()


def test_who_does_not_say_what_it_wants_is_not_waited_for(field):
    sieges = {
        ("gRPC", "silence"),
        ("gRPC", "half a preface"),
        ("AWS-JSON", "HTTP/1.1 head without an end"),
        ("TLS", "half a handshake"),
    }
    with contextlib.ExitStack() as stack:
        waiting = {}
        for front, name in sieges:
            connection = stack.enter_context(socket.create_connection(field.address(front)))
            connection.sendall(ATTACKS[front][name]().once)
            waiting[connection] = name
        began = time.monotonic()
        while waiting and time.monotonic() - began < PATIENCE + SLACK:
            for connection in select.select(list(waiting), [], [], 1)[0]:
                with contextlib.suppress(ConnectionResetError):
                    while connection.recv(1 << 16):
                        pass
                assert time.monotonic() - began > PATIENCE - 1, waiting[connection]
                del waiting[connection]
        assert not waiting
