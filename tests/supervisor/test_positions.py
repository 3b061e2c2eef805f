from contextlib import closing

from nerve.reflex.listeners import Listeners, Route
from nerve.store.journal import Batch, Journal, SignalEntry
from nerve.store.sqlite import open_reader
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
    """Take up what was missed; return the backlogs, and the statements that read signals."""
    statements = []
    with closing(open_reader(path)) as reader:
        reader.set_trace_callback(statements.append)
        backlogs = list(
            Positions(routes).take_up(
                reader,
                Listeners(routes),
                {"echo"},
                now_us=2,
                moved=lambda *_: None,
                damaged=lambda *_: None,
            )
        )
    return backlogs, [text for text in statements if "FROM signals" in text]


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
    assert all("'often'" in text for text in statements)


def test_where_it_is_not_known_what_came_last_the_signals_are_looked_at(tmp_path):
    """SIG-2: a journal of an earlier version."""
    with closing(Journal(tmp_path / "logs.db")) as journal:
        journal.commit(Batch([signal("source", 1), signal("source", 2)], {("echo", "source"): 1}))
        journal._raw.execute("UPDATE received SET signal_id = 0")
    backlogs, _ = taken_up(tmp_path / "logs.db", [ROUTE])
    assert [backlog.total for backlog in backlogs] == [1]
