"""What a power loss leaves of logs.db where its commits are not synced.

A journal that has lost its last commits is made by putting back what its files were before.
"""

import shutil
from contextlib import closing

import pytest

from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.journal_ids import IDS_AHEAD

NORMAL, FULL = 1, 2


def synchronous(raw):
    return raw.execute("PRAGMA synchronous").fetchone()[0]


def signal(seq):
    return SignalEntry("s", "e", seq, seq, "{}", "{}")


@pytest.fixture
def path(state):
    return state.journal_path


@pytest.fixture
def journal(path, closing):
    return lambda **how: closing(Journal(path, **how))


@pytest.fixture
def disk(path, tmp_path):
    """Keep what the disk holds now; calling what it returns makes that all that was saved."""

    def keep():
        kept = tmp_path / "kept"
        shutil.copytree(path.parent, kept)

        def lose_power():
            shutil.rmtree(path.parent)
            shutil.copytree(kept, path.parent)

        return lose_power

    return keep


def test_commits_are_synced_by_default_and_not_where_a_power_loss_may_take_them(journal):
    assert synchronous(journal()._raw) == FULL
    assert synchronous(journal(full_sync=False)._raw) == NORMAL


def test_a_new_connection_syncs_as_the_first_one_did(path, journal):
    """LOG-6"""
    unsynced = journal(full_sync=False)
    unsynced.commit(Batch([signal(1)]))
    path.unlink()
    unsynced.commit(Batch([signal(2)]))
    assert (unsynced.take_restored(), synchronous(unsynced._raw)) == (1, NORMAL)


def test_what_files_beside_the_journal_hang_on_is_synced_all_the_same(journal):
    """LOG-3"""
    unsynced = journal(full_sync=False)
    assert unsynced.perform(synchronous) == FULL

    def fail(raw):
        raw.execute("BEGIN IMMEDIATE")
        raise KeyError

    with pytest.raises(KeyError):
        unsynced.perform(fail)
    assert synchronous(unsynced._raw) == NORMAL


def test_no_id_that_was_told_is_handed_out_again_after_a_power_loss(journal, disk):
    """LOG-1, SIG-2: a sense's own database says which signal it has answered."""
    first = journal(full_sync=False)
    first.commit(Batch([signal(1)]))
    lose_power = disk()
    (told,) = first.commit(Batch([signal(2)]))
    lose_power()
    second = journal()
    assert second.received() == {"s": {"e": 1}}
    assert second.newest_id >= told
    again, new = second.commit(Batch([signal(2), signal(3)]))
    assert told < again < new


def test_what_a_power_loss_can_take_has_a_bound_and_each_bound_is_synced_before_it_counts(
    journal, disk
):
    """LOG-1"""
    first = journal(full_sync=False)
    synced = []
    first._raw.set_trace_callback(lambda text: synced.append(text) if "=FULL" in text else None)
    rows = [LogEntry(1, "s", "log", "info", None, "{}")] * (IDS_AHEAD // 2)
    for _ in range(6):
        ids = first.commit(Batch(list(rows)))
    assert len(synced) == 2
    lose_power = disk()
    lose_power()
    assert ids[-1] <= journal().newest_id <= ids[-1] + IDS_AHEAD + len(rows)


def test_an_orderly_end_leaves_no_gap(path):
    """LOG-1"""
    for full_sync in (False, True, False):
        with closing(Journal(path, full_sync=full_sync)) as journal:
            before = journal.newest_id
            assert journal.commit(Batch([signal(before + 1)])) == [before + 1]
