"""LOG-3: a kill at any step loses and doubles no row, and the next run does what is left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nerve.store import archive
from tests.archive.conftest import NOW_US, Kept, days_ago, log, signal

ENTRY = Path(__file__).with_name("entry.py")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 120


def killed_at_each_step(kept, folder, **retention):
    """Return a copy of what is kept for each step at which a run was killed."""
    copies = folder / "copies"
    copies.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, ENTRY, kept.state.root, copies, json.dumps(retention)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Kept(copies / str(step)) for step in range(1, int(done.stdout) + 1)]


def assert_whole(kept, rows, **retention):
    """All rows are there, now and after another run, which leaves nothing behind."""
    assert kept.rows() == rows
    assert not kept.archive(**retention).refused
    assert kept.rows() == rows
    assert kept.files() == sorted(day.file for day in kept.days())
    return kept


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_a_first_run_killed_at_any_step_loses_and_doubles_nothing(kept, tmp_path, compress):
    """LOG-3"""
    kept.record(log(days_ago(3)), log(days_ago(3)), signal(days_ago(3)), log(NOW_US))
    rows = kept.rows()
    killed = killed_at_each_step(kept, tmp_path, compress=compress)
    assert len(killed) > 40
    for copy in killed:
        assert_whole(copy, rows, compress=compress)
        assert sorted(copy.in_tables()) == [("logs", 4)]


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_a_day_that_gets_more_rows_is_replaced_whole_or_not_at_all(kept, tmp_path, compress):
    """LOG-3"""
    kept.record(log(days_ago(3)), log(days_ago(3)))
    kept.archive()
    kept.record(log(days_ago(3)), log(days_ago(3)))
    rows = kept.rows()
    for copy in killed_at_each_step(kept, tmp_path, compress=compress):
        assert_whole(copy, rows, compress=compress)
        assert not copy.in_tables()


def test_whatever_is_archived_before_a_day_that_was_being_replaced_its_file_is_built_on(
    kept, tmp_path
):
    """LOG-3"""
    kept.record(log(days_ago(3)), signal(days_ago(3)))
    kept.archive()
    kept.record(log(days_ago(3)), signal(days_ago(3), seq=2))
    for number, copy in enumerate(killed_at_each_step(kept, tmp_path)):
        copy.record(log(days_ago(5)))
        if number % 9 == 0:
            copy.record(signal(days_ago(3), seq=3))
            rows = copy.rows()
            for again in killed_at_each_step(copy, tmp_path / str(number))[::7]:
                assert_whole(again, rows)
        assert_whole(copy, copy.rows())
        assert not copy.in_tables()
        assert copy.query("SELECT key FROM meta WHERE key LIKE 'archiving%'") == []


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(kept, tmp_path):
    """LOG-3"""
    kept.record(log(days_ago(3)), log(days_ago(3)))
    rows = kept.rows()
    for number, copy in enumerate(killed_at_each_step(kept, tmp_path)[7::20]):
        for again in killed_at_each_step(copy, tmp_path / str(number))[::12]:
            assert_whole(again, rows)


def test_a_run_that_deletes_files_and_is_killed_leaves_none_that_nobody_knows(kept, tmp_path):
    """LOG-3"""
    kept.record(log(days_ago(9)), log(days_ago(3)))
    kept.archive()
    day, _ = kept.days()
    os.utime(kept.state.archive / day.file, ns=(days_ago(7) * 1_000,) * 2)
    for copy in killed_at_each_step(kept, tmp_path, archived="8d"):
        copy.archive(archived="8d")
        assert copy.files() == [day.file for day in copy.days()] == ["logs/2024-10-01.jsonl"]


def test_the_steps_of_a_run_are_those_that_are_killed():
    from tests.archive.entry import STEPS

    assert {name for owner, name in STEPS if owner is archive} <= set(vars(archive))
