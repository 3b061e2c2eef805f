"""LOG-3: a running nerve archives by itself, and goes on signalling meanwhile."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from nerve.process.kernel import children, is_alive
from nerve.store.batch import Batch, Pause
from nerve.store.due import DAY_US
from nerve.store.journal import Journal
from tests.archive.conftest import Kept, log
from tests.archive.conftest import signal as a_signal
from tests.runtime.conftest import project

__all__ = ["project"]

CONFIG = """
senses: {source: {}}
reflexes: [{kind: sense, sense: source, interval: 20ms}]
retention: {logs: 1d, signals: 1d, compress: gzip}
"""
OLD_ROWS = 6_000


def days_ago(days):
    """A time of the machine's clock, which a running nerve goes by."""
    return time.time_ns() // 1_000 - days * DAY_US


@pytest.fixture
def kept(project):
    """A project whose journal has old rows: thousands of one day, and two of others."""
    project.sense("source", "def compute(db, peers, ctx): return {'n': 1}")
    project.config(CONFIG)
    kept = Kept(project.state)
    many = [log(days_ago(9) // DAY_US * DAY_US + n, "x" * 300) for n in range(OLD_ROWS)]
    kept.record(*many, log(days_ago(4)), a_signal(days_ago(4), "source"))
    kept.project = project
    return kept


def start(kept, **limits):
    return kept.project.start(**{"FIRST_AFTER_S": "0", **limits})


def test_what_is_old_is_archived_and_space_given_back_while_signals_go_on(kept):
    """LOG-3"""
    old = kept.in_tables()
    running = start(kept)
    (finished,) = running.log("archive.finished")
    running.signals("source", sum(e.get("sense") == "source" for e in running.said) + 3)
    told = finished["payload"]
    assert (told["logs"]["days"], told["logs"]["rows"]) == (2, OLD_ROWS + 1)
    assert (told["signals"]["days"], told["signals"]["rows"]) == (1, 1)
    assert told["freed_bytes"] > 1_000_000
    assert kept.project.state.joinpath("logs.db").stat().st_size < 1_000_000
    assert running.stop() == 0
    assert kept.in_files() == old
    ids = [number for (number,) in kept.query("SELECT id FROM signals ORDER BY id")]
    assert [e["id"] for e in running.said if e["kind"] == "signal"] == ids


def test_signals_that_nobody_answered_are_told_before_they_go(kept):
    """LOG-3"""
    kept.project.sense("sink", "def compute(db, peers, ctx): return None")
    kept.project.config(
        "senses: {source: {}, sink: {}}\n"
        "reflexes: [{kind: sense, sense: sink, on: [source]}]\n"
        "retention: {logs: 1d, signals: 1d}\n"
    )
    kept.record(cursors={("sink", "source"): 0, ("gone", "source"): 0})
    with closing(Journal(kept.state.journal_path)) as journal:
        journal.commit(Batch(paused={"sink": Pause("sink", 1, "")}))
    running = start(kept)
    (told,) = running.log("archive.unanswered")
    assert (told["source"], told["payload"]["signals"]) == ("sink", 1)
    running.log("archive.finished")
    assert running.stop() == 0
    (stored,) = kept.query("SELECT id FROM logs WHERE type = 'archive.unanswered'")
    assert stored == (told["id"],)


def test_it_does_so_again_and_again(kept):
    """LOG-3"""
    running = start(kept, EVERY_S="0.05")
    first, *_, last = running.log("archive.finished", 3)
    assert (first["payload"]["logs"]["rows"], last["payload"]["logs"]["rows"]) == (OLD_ROWS + 1, 0)


def test_a_stop_in_the_middle_of_a_run_waits_for_no_more_than_a_piece_of_it(kept):
    """LOG-3"""
    old = kept.in_tables()
    running = start(kept)
    kept.project.state.joinpath("archive/logs").mkdir(exist_ok=True)
    archivist = archivist_of(running)
    os.kill(archivist, signal.SIGSTOP)
    assert running.stop() == 0
    assert not is_alive(archivist)
    assert not [e for e in running.said if e.get("type") == "archive.failed"]
    assert kept.rows().items() >= old.items()


def test_an_archivist_that_is_killed_is_told_and_its_work_done_again(kept):
    """LOG-3"""
    old = kept.in_tables()
    running = start(kept, RETRY_FIRST_S="0")
    os.kill(archivist_of(running), signal.SIGKILL)
    (failed,) = running.log("archive.failed")
    assert "the archivist ended" in failed["payload"]["message"]
    running.log("archive.finished")
    assert running.stop() == 0
    assert kept.in_files() == old


def test_the_archivist_dies_with_the_parent_and_what_it_left_is_swept(kept):
    """RUN-10"""
    running = start(kept)
    archivist = archivist_of(running)
    os.kill(archivist, signal.SIGSTOP)
    (kept.project.state / "archive" / ".unfinished-abc.jsonl").touch()
    running.kill()
    give_up = time.monotonic() + 20
    while is_alive(archivist) and time.monotonic() < give_up:
        os.sched_yield()
    assert not is_alive(archivist)
    running = start(kept, FIRST_AFTER_S="1000")
    (swept,) = running.log("recovery.unfinished")
    assert swept["payload"]["files"] >= 1
    assert not list((kept.project.state / "archive").glob(".unfinished-*"))


def test_a_day_that_is_refused_is_told_with_what_to_do(kept):
    """LOG-3"""
    day = kept.project.state / "archive/logs"
    day.mkdir()
    from nerve.store.dayfile import utc_day

    path = day / f"{utc_day(days_ago(4))}.jsonl"
    path.write_text("not ours\n")
    running = start(kept)
    (refused,) = running.log("archive.refused")
    assert refused["level"] == "error"
    assert str(path) in refused["payload"]["message"]
    assert "move it away" in refused["payload"]["hint"]
    running.log("archive.finished")
    assert path.read_text() == "not ours\n"


def archivist_of(running):
    """The process id of the archivist, as soon as there is one."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        for pid in descendants(running.process.pid):
            if name_of(pid) == "nerve: archive":
                return pid
    raise AssertionError("no archivist came")


def descendants(pid):
    below = children(pid)
    return below + [deeper for child in below for deeper in descendants(child)]


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
