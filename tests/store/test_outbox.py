import json

import pytest

from nerve.store.migrations import SENSE_SCHEMA, upgrade
from nerve.store.outbox import DROP_BYTES, Identity, Outbox


@pytest.fixture
def raw(owner):
    raw = owner()
    upgrade(raw, SENSE_SCHEMA)
    return raw


def tell(raw, outbox, trigger_id, *, boot="b", payload='{"n": 1}'):
    """Commit a signal as a compute does."""
    raw.execute("BEGIN IMMEDIATE")
    outbox.drop()
    seq = outbox.put(1, (boot, trigger_id), payload, json.dumps({"boot": boot}))
    raw.execute("COMMIT")
    outbox.committed((boot, trigger_id), seq)
    return seq


def say_nothing(raw, outbox, trigger_id):
    """Commit rows without a signal."""
    raw.execute("BEGIN IMMEDIATE")
    outbox.drop()
    outbox.mark(("b", trigger_id))
    raw.execute("COMMIT")
    outbox.committed(("b", trigger_id), 0)


def stored(raw):
    return raw.execute("SELECT count(*) FROM nerve_outbox").fetchone()[0]


def mark_of(raw):
    found = Outbox(raw).identity()
    return found.boot, found.trigger_id


def test_the_last_committed_trigger_is_known_with_and_without_a_signal(raw):
    """SIG-4"""
    outbox = Outbox(raw)
    assert mark_of(raw) == ("", 0)
    tell(raw, outbox, 7)
    assert mark_of(raw) == ("b", 7)
    say_nothing(raw, outbox, 8)
    assert mark_of(raw) == ("b", 8)
    tell(raw, outbox, 9)
    assert mark_of(raw) == ("b", 9) == (outbox.identity().boot, outbox.identity().trigger_id)


def test_the_mark_outlives_the_rows_that_made_it(raw):
    """SIG-4"""
    outbox = Outbox(raw)
    seq = tell(raw, outbox, 7)
    outbox.acknowledge(outbox.epoch, seq)
    raw.execute("BEGIN IMMEDIATE")
    outbox.drop(at_once=True)
    raw.execute("COMMIT")
    assert stored(raw) == 0
    assert mark_of(raw) == ("b", 7)
    assert tell(raw, Outbox(raw), 8) == seq + 1


def test_acknowledged_signals_are_dropped_a_few_at_a_time(raw):
    """SIG-3"""
    outbox, most = Outbox(raw), 0
    for trigger_id in range(1, 200):
        outbox.acknowledge(outbox.epoch, tell(raw, outbox, trigger_id))
        most = max(most, stored(raw))
    assert 2 <= most <= DROP_BYTES // len('{"n": 1}{"boot": "b"}') + 2


def test_a_large_signal_goes_with_the_next_transaction(raw):
    outbox = Outbox(raw)
    seq = tell(raw, outbox, 1, payload=json.dumps("x" * DROP_BYTES))
    outbox.acknowledge(outbox.epoch, seq)
    say_nothing(raw, outbox, 2)
    assert stored(raw) == 0
    assert mark_of(raw) == ("b", 2)


def test_a_rolled_back_drop_is_made_up_for(raw):
    outbox = Outbox(raw)
    outbox.acknowledge(outbox.epoch, tell(raw, outbox, 1))
    raw.execute("BEGIN IMMEDIATE")
    outbox.drop(at_once=True)
    raw.execute("ROLLBACK")
    outbox.reload()
    assert mark_of(raw) == ("b", 1)
    raw.execute("BEGIN IMMEDIATE")
    outbox.drop(at_once=True)
    raw.execute("COMMIT")
    assert stored(raw) == 0


def test_what_the_parent_has_is_not_told_again_but_for_the_last_trigger(raw):
    """SIG-4"""
    outbox = Outbox(raw)
    for trigger_id in range(1, 6):
        tell(raw, outbox, trigger_id)
    again = Outbox(raw)
    assert not again.begin_anew_if_behind({again.epoch: 3})
    assert [row.seq for row in again.waiting()] == [4, 5]
    assert again.count() == 2
    again.acknowledge(again.epoch, 5)
    assert [row.seq for row in again.waiting()] == [5]
    assert again.count() == 0


def test_a_database_that_is_behind_takes_a_new_epoch_and_keeps_its_mark(raw):
    """DB-11"""
    outbox = Outbox(raw)
    tell(raw, outbox, 4)
    epoch = outbox.epoch
    assert outbox.begin_anew_if_behind({epoch: 2})
    assert outbox.identity() == Identity(outbox.epoch, "b", 4) == Outbox(raw).identity()
    assert outbox.epoch != epoch
    assert stored(raw) == 0
    assert tell(raw, outbox, 5) == 2


def test_a_database_of_an_older_version_keeps_its_signals_its_numbers_and_its_mark(owner):
    """DB-2"""
    raw = owner()
    upgrade(raw, SENSE_SCHEMA, to="0001")
    add = "INSERT INTO nerve_outbox (at_us, trigger_id, payload, cause) VALUES (?, ?, ?, ?)"
    for trigger_id in (5, 6, 7):
        raw.execute(add, (trigger_id, trigger_id, "{}", '{"boot": "b"}'))
    raw.execute("UPDATE nerve_outbox SET cause = '{oops' WHERE seq = 1")
    raw.execute("DELETE FROM nerve_outbox WHERE seq = 3")
    raw.execute("UPDATE nerve_identity SET boot = 'b', trigger_id = 7")
    (epoch,) = raw.execute("SELECT epoch FROM nerve_identity").fetchone()
    assert upgrade(raw, SENSE_SCHEMA) == ["0002"]
    outbox = Outbox(raw)
    assert outbox.identity() == Identity(epoch, "b", 7)
    assert [(row.seq, row.at_us, row.cause) for row in outbox.waiting()] == [
        (1, 5, "{oops"),
        (2, 6, '{"boot": "b"}'),
    ]
    assert not outbox.begin_anew_if_behind({epoch: 3})
    assert tell(raw, outbox, 8) == 4
