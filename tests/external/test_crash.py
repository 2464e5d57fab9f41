"""What was acknowledged outlives the process, whenever that is killed. `scripts/crash` does the same for longer."""

from crash import Crash


def test_a_killed_server_has_kept_its_word(tmp_path):
    crash = Crash(tmp_path, seed=12, report=print)
    crash.run(kills=8)

    assert not crash.facts.violations
    figures = crash.figures()
    assert figures["kills"] == 8
    assert figures["acknowledged"] > 500
    assert figures["registrations"] > 50
    assert figures["deployments"] > 5


def test_processes_on_one_database_have_kept_their_word(tmp_path):
    crash = Crash(tmp_path, seed=12, report=print, processes=3, shared=True)
    crash.run(kills=12, fill=False)

    assert not crash.facts.violations
    figures = crash.figures()
    assert figures["kills"] >= 12
    assert figures["acknowledged"] > 50
    assert figures["deployments"] > 5
