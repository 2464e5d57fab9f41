"""What was acknowledged outlives the process, whenever that is killed. `scripts/crash` does the same for longer."""

from crash import Crash


def test_a_killed_server_has_kept_its_word(tmp_path):
    crash = Crash(tmp_path, seed=12, report=print)
    crash.run(kills=8)

    assert not crash.facts.violations
    assert crash.kills == 8
    assert crash.facts.figures["acknowledged"] > 500
    assert crash.facts.figures["registrations"] > 50
