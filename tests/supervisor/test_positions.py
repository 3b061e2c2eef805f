from nerve.reflex.listeners import Route
from nerve.supervisor.positions import Positions
from nerve.wire.messages import SenseReport

ROUTE = Route("echo", "source")


def report(signal_id):
    return SenseReport(name="echo", epoch="e", positions={"source": signal_id})


def test_the_position_in_the_targets_own_database_is_believed():
    """SIG-2, SIG-7"""
    assert Positions([ROUTE]).take_report(report(5), newest=9) == {"source": 5}


def test_a_position_beyond_a_journal_that_begins_anew_is_not_believed_now_or_later():
    """SIG-2"""
    positions = Positions([ROUTE])
    assert positions.take_report(report(50), newest=9) == {}
    assert positions.take_report(report(50), newest=60) == {}
    assert positions.take_report(report(55), newest=60) == {"source": 55}
