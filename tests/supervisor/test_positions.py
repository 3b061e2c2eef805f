from contextlib import closing

import pytest

from nerve.reflex.listeners import Listeners, Route
from nerve.store.batch import Batch, SignalEntry
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader
from nerve.supervisor import positions
from nerve.supervisor.positions import Positions
from nerve.wire.messages import SenseReport

ROUTE = Route("echo", "source")


def report(signal_id):
    return SenseReport(name="echo", epoch="e", positions={"source": signal_id})


def test_the_position_in_the_targets_own_database_is_believed():
    """SIG-2, SIG-7"""
    assert Positions([ROUTE]).take_report(report(5), newest=9, now_us=0) == {"source": 5}


def test_a_position_beyond_a_journal_that_begins_anew_is_not_believed_now_or_later():
    """SIG-2"""
    positions = Positions([ROUTE])
    assert positions.take_report(report(50), newest=9, now_us=0) == {}
    assert positions.take_report(report(50), newest=60, now_us=0) == {}
    assert positions.take_report(report(55), newest=60, now_us=0) == {"source": 55}


def signal(sense, seq):
    return SignalEntry(sense, "e", seq, 1, "{}", "{}")


def taken_up(path, routes):
    """Take up what was missed; return the backlogs, and the statements that read signals of a sense."""
    statements = []
    with closing(open_reader(path)) as reader:
        reader.set_trace_callback(statements.append)
        backlogs = list(
            Positions(routes).take_up(
                reader,
                Listeners(routes),
                {"echo"},
                now_us=2,
                unwritten={},
                in_hand=lambda *_: 0,
                moved=lambda *_: None,
                damaged=lambda *_: None,
            )
        )
    return backlogs, [
        text for text in statements if "FROM signals WHERE id > " in text and "max(" not in text
    ]


def test_only_sources_that_have_signalled_since_are_looked_through(tmp_path):
    """SIG-7: a start after a year must not read all signals for a sense that tells rarely."""
    routes = [Route("echo", "rare"), Route("echo", "never"), Route("echo", "often")]
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(Batch([signal("rare", 1), signal("often", 1)]))
        journal.commit(
            Batch(cursors={("echo", "rare"): 1, ("echo", "never"): 1, ("echo", "often"): 2})
        )
        journal.commit(Batch([signal("often", n) for n in range(2, 5)]))
    backlogs, statements = taken_up(tmp_path / "logs.db", routes)
    assert [(backlog.route.source, backlog.total) for backlog in backlogs] == [("often", 3)]
    assert not any("rare" in text or "never" in text for text in statements)


def test_all_that_came_is_found_in_one_pass_over_the_signals(tmp_path):
    """SIG-7: a start must not look through a year of signals once for each reflex."""
    routes = [Route("echo", f"s{n}") for n in range(20)]
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(Batch(cursors={route.pair: 0 for route in routes}))
        journal.commit(Batch([signal(f"s{n}", seq) for seq in (1, 2, 3) for n in range(20)]))
        journal.commit(Batch(cursors={("echo", "s1"): 2, ("echo", "s2"): 23}))
    backlogs, statements = taken_up(tmp_path / "logs.db", routes)
    totals = {backlog.route.source: backlog.total for backlog in backlogs}
    assert totals == {**{f"s{n}": 3 for n in range(20)}, "s1": 2, "s2": 1}
    assert sum("sense IN" in text for text in statements) == 1


def test_where_it_is_not_known_what_came_last_the_signals_are_looked_at(tmp_path):
    """SIG-2: a journal of an earlier version."""
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(Batch([signal("source", 1), signal("source", 2)], {("echo", "source"): 1}))
        journal._raw.execute("UPDATE received SET signal_id = 0")
    backlogs, _ = taken_up(tmp_path / "logs.db", [ROUTE])
    assert [backlog.total for backlog in backlogs] == [1]


@pytest.mark.parametrize("payload", ["null", "{oops", "[" * 9_000 + "]" * 9_000])
def test_a_stored_signal_that_no_worker_can_be_told_is_skipped_and_named(tmp_path, payload):
    """BOOT-6"""
    damaged = []
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(Batch([signal("source", 1), signal("source", 2)], {("echo", "source"): 0}))
        journal._raw.execute("UPDATE signals SET payload = ? WHERE id = 1", (payload,))
    with closing(open_reader(tmp_path / "logs.db")) as reader:
        (backlog,) = Positions([ROUTE]).take_up(
            reader,
            Listeners([ROUTE]),
            {"echo"},
            now_us=2,
            unwritten={},
            in_hand=lambda *_: 0,
            moved=lambda *_: None,
            damaged=lambda *found: damaged.append(found),
        )
    assert damaged == [("source", 1)]
    assert [s.id for cause in backlog.causes for s in cause.signals] == [2]


def test_a_backlog_is_read_up_to_a_size(tmp_path, monkeypatch):
    """SIG-2: the rest of it is counted, and still a reason to run."""
    monkeypatch.setattr(positions, "MAX_BACKLOG_BYTES", 2_500)
    large = '"' + 998 * "x" + '"'
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(
            Batch(
                [SignalEntry("source", "e", n, 1, large, "{}") for n in range(1, 9)],
                {("echo", "source"): 0},
            )
        )
    (backlog,), _ = taken_up(tmp_path / "logs.db", [ROUTE])
    (cause,) = backlog.causes
    assert ([s.id for s in cause.signals], cause.left_out) == ([6, 7, 8], 5)


def test_a_tick_that_is_yet_to_come_is_of_a_wrong_clock_and_not_believed():
    """SIG-4, SIG-7"""
    report = SenseReport(name="echo", epoch="e", positions={"@every 1h": 50})
    assert Positions([]).take_report(report, newest=9, now_us=40) == {}
    assert Positions([]).take_report(report, newest=9, now_us=60) == {"@every 1h": 50}


def test_what_a_compute_that_still_runs_answers_is_not_taken_up_again(tmp_path):
    """SIG-2: a sense may be back before the compute that ran when it was lost has its outcome."""
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(Batch([signal("source", n) for n in (1, 2, 3)], {("echo", "source"): 0}))
    with closing(open_reader(tmp_path / "logs.db")) as reader:
        (backlog,) = Positions([ROUTE]).take_up(
            reader,
            Listeners([ROUTE]),
            {"echo"},
            now_us=2,
            unwritten={},
            in_hand=lambda target, source: 2 if (target, source) == ROUTE.pair else 0,
            moved=lambda *_: None,
            damaged=lambda *_: None,
        )
    assert [s.id for cause in backlog.causes for s in cause.signals] == [3]
