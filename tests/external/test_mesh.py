"""Meshes repeat calls and lose replies, and servers come and go. `scripts/mesh` does the same for longer."""

from mutations import lossy
from rolling import restarts


def test_nothing_is_done_twice_and_nothing_is_missing_when_replies_are_lost(tmp_path):
    figures = lossy(tmp_path, mutations=240)

    assert (figures["lost"], figures["duplicated"]) == (0, 0)
    assert figures["mutations"] == 240
    assert min(figures["replies_lost"], figures["repeated_by_mesh"], figures["looks"]) > 0


def test_clients_do_not_notice_that_servers_are_restarted(tmp_path):
    figures = restarts(tmp_path, number=3)

    assert figures["failed"] == 0
    assert figures["calls"] > 200
