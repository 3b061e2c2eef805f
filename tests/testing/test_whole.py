import json
import signal

import pytest

ALONE = {
    "senses": {"counting": {}},
    "reflexes": [{"kind": "sense", "sense": "counting", "interval": "1m"}],
}


@pytest.fixture
def counting(project):
    project.sense("counting", "def compute(db, peers, ctx): return {'n': 1}")
    project.sense("failing", "def compute(db, peers, ctx): raise LookupError('lost')")
    project.root.joinpath("nerve.yaml").write_text(
        "senses: {counting: {}, failing: {}}\n"
        "reflexes: [{kind: sense, sense: [counting, failing], interval: 50ms}]\n"
    )
    return project


@pytest.fixture
def whole_nerve(counting, tmp_path):
    from nerve.testing import WholeNerve

    made = WholeNerve(counting.root, tmp_path)
    yield made
    made.close()


def test_a_whole_nerve_is_waited_for_by_signals_and_log_rows(whole_nerve, counting):
    running = whole_nerve()
    assert [entry["payload"] for entry in running.signals("counting", count=2)][:2] == [
        {"n": 1}
    ] * 2
    (failed,) = running.log("compute.error", source="failing")[:1]
    assert failed["payload"]["message"] == "LookupError: lost"
    assert running.stop() == 0
    assert (
        whole_nerve.query("logs", "SELECT count(*) FROM signals WHERE sense = ?", "counting")[0][0]
        >= 2
    )
    assert "counting" in whole_nerve.command("list", "senses").stdout
    assert not (counting.root / "data").exists()


def test_another_configuration_takes_the_place_of_the_projects_own(whole_nerve):
    running = whole_nerve("--once", config=ALONE)
    assert running.wait() == 0
    assert {entry["sense"] for entry in running.said if "sense" in entry} == {"counting"}


def test_what_does_not_come_is_told_with_what_came_last(whole_nerve):
    running = whole_nerve("--once", config=ALONE)
    with pytest.raises(
        AssertionError, match=r"signal of heat did not come, and nerve has ended\. .*counting"
    ):
        running.signals("heat")


def test_a_configuration_at_fault_is_told_on_stderr(whole_nerve):
    running = whole_nerve(config={"senses": {"counting": {"timeut": "1s"}}})
    assert running.wait() == 78
    said = json.loads(running.errors())
    assert 'did you mean "timeout"?' in said["payload"]["message"]


def test_a_nerve_can_be_killed_and_started_again(whole_nerve):
    running = whole_nerve()
    running.signals("counting")
    assert running.kill() == -signal.SIGKILL
    again = whole_nerve()
    again.signals("counting")
    assert again.stop() == 0


def test_a_running_nerve_is_told_what_to_do_by_the_same_commands(whole_nerve):
    """CTL-1"""
    running = whole_nerve(config={"senses": {"counting": {}}})
    running.log("worker.ready")
    told = whole_nerve.command("trigger", "counting", "--wait")
    assert told.returncode == 0, told.stderr
    assert len(running.signals("counting")) == 1
    assert whole_nerve.command("stop").returncode == 0
    assert running.wait() == 0
