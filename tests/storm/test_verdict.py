"""The verdict on a storm has to be able to fail: each kind of damage is fed to it."""

from dataclasses import replace
from itertools import islice

import pytest

from tests.storm.hand import BUILDER, acts
from tests.storm.plan import blows
from tests.storm.verdict import Evidence, Kept, Signal, disagreements


def signal(id_, sense, n, **changed):
    return replace(Signal(id_, sense, f"epoch of {sense}", n, n), **changed)


SIGNALS = [signal(1, "a", 1), signal(2, "b", 1), signal(4, "a", 2), signal(6, "b", 3, seq=2)]
HEARD = [("a", 1, 1), ("b", 2, 1), ("a", 4, 2), ("b", 6, 3)]
AGREED = Evidence(
    listens={"a": (), "b": ("a",), "c": ("a", "b")},
    signals=SIGNALS,
    kept={
        "a": Kept(rows=[(1, True), (2, True)], epoch="epoch of a"),
        "b": Kept(
            rows=[(1, True), (2, False), (3, True)],
            heard=[("a", 1, 1), ("a", 4, 2)],
            positions={"a": 4},
            epoch="epoch of b",
        ),
        "c": Kept(rows=[(1, False)], heard=HEARD, positions={"a": 4, "b": 6}, epoch="epoch of c"),
    },
    cursors={("b", "a"): 4, ("c", "a"): 4, ("c", "b"): 6},
    outcomes={("a", "signal"): 2, ("a", "crashed"): 1, ("a", "coalesced"): 3},
)


def with_signals(*signals):
    return replace(AGREED, signals=list(signals))


DAMAGED = {
    "a row lost": (AGREED.with_kept("a", rows=[(2, True)]), "the rows have a gap: 1"),
    "the newest row lost": (
        AGREED.with_kept("a", rows=[(1, True)]),
        "signal of row without a: row: 2",
    ),
    "a row doubled": (
        AGREED.with_kept("a", rows=[(1, True), (1, True), (2, True)]),
        "a: row without a: signal of row: 1",
    ),
    "a gap in the rows": (
        AGREED.with_kept("a", rows=[(1, True), (2, True), (4, True)]),
        "the rows have a gap: 3",
    ),
    "a row whose signal is lost": (
        AGREED.with_kept("b", rows=[(1, True), (2, True), (3, True)]),
        "b: row without b: signal of row: 2",
    ),
    "a signal told twice": (
        with_signals(*SIGNALS, signal(7, "a", 2, seq=3)),
        "a: signal of row without a: row: 2",
    ),
    "ids that fall": (with_signals(*SIGNALS[::-1]), "do not increase strictly"),
    "an id used twice": (
        with_signals(*SIGNALS[:3], signal(4, "b", 3, seq=2)),
        "do not increase strictly",
    ),
    "signals in another order than their rows": (
        with_signals(replace(SIGNALS[0], n=2), SIGNALS[1], replace(SIGNALS[2], n=1), SIGNALS[3]),
        "not in the order of its rows",
    ),
    "a seq that was skipped": (
        with_signals(*SIGNALS[:3], replace(SIGNALS[3], seq=4)),
        "the seq of its signals",
    ),
    "another epoch": (
        with_signals(*SIGNALS[:3], replace(SIGNALS[3], epoch="new")),
        "of another database: {'new'}",
    ),
    "a signal answered twice": (
        AGREED.with_kept("c", heard=[*HEARD, ("b", 6, 3)]),
        "c: signals answered twice: 6",
    ),
    "a signal not answered": (
        AGREED.with_kept("c", heard=HEARD[1:]),
        "c: 1 signals not answered (1), 0 of them counted as left out",
    ),
    "an answer to what was left out": (AGREED.with_kept("c", left_out=1), "c: 0 signals not"),
    "an answer to nobody": (
        AGREED.with_kept("c", heard=[*HEARD, ("b", 9, 9)]),
        "c: heard what nobody told: ('b', 9, 9)",
    ),
    "an answer to something else": (
        AGREED.with_kept("c", heard=[*HEARD[:3], ("b", 6, 2)]),
        "c: heard what nobody told: ('b', 6, 2)",
    ),
    "answers in the wrong order": (
        AGREED.with_kept("c", heard=HEARD[::-1]),
        "c: the signals of a were not answered in order",
    ),
    "a cursor that stayed behind": (
        replace(AGREED, cursors={**AGREED.cursors, ("c", "b"): 2}),
        "c on b: the newest signal is 6, the cursor 2",
    ),
    "a position that stayed behind": (
        AGREED.with_kept("c", positions={"a": 4, "b": 2}),
        "the sense's own position 2",
    ),
    "an outbox that is not empty": (AGREED.with_kept("b", waiting=1), "1 rows of the outbox"),
    "a blob that is damaged": (AGREED.with_kept("a", bad_blobs=[2]), "in rows 2"),
    "a boot that never ended": (replace(AGREED, open_boots=1), "1 boots are not closed"),
    "a process left behind": (
        replace(AGREED, processes=["7 sleep"]),
        "process left behind: 7 sleep",
    ),
    "a file left behind": (replace(AGREED, files=["x.db-wal"]), "file left behind: x.db-wal"),
    "a parent that fell over": (replace(AGREED, unasked=["code 1"]), "ended by itself: code 1"),
    "a group given up": (replace(AGREED, alarms=["one group.fatal"]), "in the log: one group.f"),
    "a compute that failed": (
        replace(AGREED, outcomes={("b", "error"): 1}),
        "b: 1 computes ended as error",
    ),
    "a signal that only an operator knows": (
        replace(AGREED, told_signals=[("a", 4), ("a", 5)]),
        "told of are not there: ('a', 5)",
    ),
    "a decision that is not counted": (
        replace(AGREED, told_counts={("a", "coalesced"): 4}),
        "a: 4 times coalesced was told, and 3 are counted",
    ),
    "a trigger that is not in the log": (
        replace(AGREED, told_triggers={"a": 2}, triggers={"a": 1}),
        "a: 2 triggers were let in, and the log has 1",
    ),
    "an operator without an answer": (
        replace(AGREED, complaints=["no answer to reload"]),
        "no answer to reload",
    ),
    "a fickle listener that answers twice": (
        replace(
            AGREED.with_kept("c", heard=[*HEARD, ("b", 6, 3)]),
            fickle=frozenset({"c"}),
        ),
        "c: signals answered twice: 6",
    ),
    "no signals at all": (with_signals(), "there are no signals at all"),
}


def test_a_storm_that_left_everything_in_order_has_a_clean_verdict():
    """SIG-2"""
    assert disagreements(AGREED) == []


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_named(damage):
    """SIG-2"""
    evidence, sentence = DAMAGED[damage]
    found = disagreements(evidence)
    assert any(sentence in one for one in found), found


def test_what_was_left_out_of_a_cause_counts_as_answered():
    """SIG-6"""
    assert disagreements(AGREED.with_kept("c", heard=HEARD[1:], left_out=1)) == []


def test_a_fickle_listener_need_not_have_heard_all():
    """SIG-6"""
    fickle = replace(AGREED.with_kept("c", heard=HEARD[1:]), fickle=frozenset({"c"}))
    assert disagreements(fickle) == []


def test_the_same_seed_decides_the_same_blows_and_acts():
    assert list(islice(acts(7, BUILDER), 50)) == list(islice(acts(7, BUILDER), 50))
    assert list(blows(7, 50)) == list(blows(7, 50))
    assert list(blows(7, 50)) != list(blows(8, 50))
    assert {blow.kind for blow in blows(7, 500)} == {"worker", "parent", "fork server"}
