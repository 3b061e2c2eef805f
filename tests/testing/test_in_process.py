import logging
import signal
import time
from datetime import UTC, datetime

import pytest

from nerve.config import ConfigFaults
from nerve.errors import SenseError
from nerve.sense import Signal, Trigger, TriggerKind
from nerve.testing import ComputeFailed
from nerve.testing.tables import RowUnfit

READINGS = """
def upgrade():
    op.create_table("readings", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at_us", sa.Integer, nullable=False), sa.Column("load", sa.Float))
"""
COUNTING = """
import nerve
from sqlalchemy import text

class Options(nerve.Options):
    step: int = 1

retention = {"readings": nerve.Retention(column="at_us", keep="1h")}
look = lambda: 1.5

def compute(db, peers, ctx):
    at_us = round(ctx.now.timestamp() * 1e6)
    db.execute(text("INSERT INTO readings (at_us, load) VALUES (:at, :load)"), {"at": at_us, "load": look()})
    n = db.scalar(text("SELECT count(*) FROM readings"))
    return {"n": n} if n % ctx.options.step == 0 else None
"""


@pytest.fixture
def of(project, sense):
    """Write a compute of one line or more, and put its sense on a database."""

    def make(body, **more):
        lines = "\n    ".join(body.split("\n"))
        project.sense("one", f"import nerve\ndef compute(db, peers, ctx):\n    {lines}\n")
        return sense("one", project=project.root, **more)

    return make


@pytest.fixture
def counting(project, sense):
    project.sense("counting", COUNTING, r1=READINGS)

    def make(**more):
        return sense("counting", project=project.root, **more)

    return make


def test_a_run_returns_its_signal_its_rows_and_how_long_it_took(counting):
    result = counting()()
    assert (result.outcome, result.payload, result.error) == ("signal", {"n": 1}, None)
    assert result.signal == Signal(1, "counting", datetime(2026, 1, 1, 12, tzinfo=UTC), {"n": 1})
    (row,) = result.rows("readings")
    assert (row["id"], row["load"]) == (1, 1.5)
    assert result.duration_s > 0


def test_null_is_no_signal(counting):
    """SIG-3"""
    result = counting(options={"step": 2})()
    assert (result.outcome, result.payload, result.signal) == ("no_signal", None, None)


def test_the_clock_stands_still_until_the_test_moves_it(of):
    run = of("return [ctx.now.isoformat(), ctx.remaining()]", timeout="7s")
    assert run().payload == ["2026-01-01T12:00:00+00:00", 7.0]
    assert run(after_s=90).payload[0] == "2026-01-01T12:01:30+00:00"
    later = datetime(2027, 5, 1, tzinfo=UTC)
    assert run(now=later).payload[0] == "2027-05-01T00:00:00+00:00"
    assert run.clock.now == later


def test_a_time_without_a_zone_is_refused(of):
    with pytest.raises(ValueError, match="tzinfo=UTC"):
        of("return 1")(now=datetime(2027, 5, 1))  # noqa: DTZ001  that is the mistake


def test_what_the_module_looks_at_can_be_patched(counting, monkeypatch):
    run = counting()
    monkeypatch.setattr(run.module, "look", lambda: 9.0)
    assert run().rows("readings")[0]["load"] == 9.0


def test_each_test_has_a_module_of_its_own(project, sense):
    project.sense(
        "one", "seen = []\ndef compute(db, peers, ctx):\n    seen.append(1)\n    return seen"
    )
    assert sense("one", project=project.root)().payload == [1]
    assert sense("one", project=project.root)().payload == [1]


def test_options_may_change_from_one_run_to_the_next(counting):
    run = counting(options={"step": 3})
    assert run().payload is None
    assert run(options={"step": 2}).payload == {"n": 2}
    assert run().payload == {"n": 3}


def test_an_option_misspelt_is_refused_with_what_was_meant(counting):
    with pytest.raises(SenseError) as caught:
        counting(options={"stp": 3})
    assert 'did you mean "step"?' in str(caught.value)


def test_a_setting_that_nerve_yaml_would_not_take_is_refused(of):
    with pytest.raises(ConfigFaults, match="timeout"):
        of("return 1", timeout="5 parsecs")


def test_rows_and_signal_of_a_compute_that_fails_are_rolled_back(project, sense):
    """RUN-4, RUN-5"""
    source = COUNTING.replace("return {", "if n == 2: raise LookupError('lost')\n    return {")
    project.sense("counting", source, r1=READINGS)
    run = sense("counting", project=project.root)
    run()
    failed = run()
    assert (failed.outcome, failed.error.kind) == ("error", "error")
    assert failed.error.message == "LookupError: lost"
    assert 'File "senses/counting/__init__.py", line 15, in compute' in failed.error.traceback
    assert "raise LookupError('lost')" in failed.error.traceback
    assert "nerve/worker" not in failed.error.traceback
    assert len(run.rows("readings")) == 1
    assert run.query("SELECT count(*) FROM nerve_outbox") == [(1,)]


def test_asking_a_failed_compute_for_its_payload_shows_why_it_failed(of):
    failed = of("raise LookupError('lost')")()
    for attribute in ("payload", "signal"):
        with pytest.raises(
            ComputeFailed, match=r"compute of one failed: error: LookupError: lost\n"
        ):
            getattr(failed, attribute)


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        ("ctx.now", "payload_invalid"),
        ("{'at': {1, 2}}", "payload_invalid"),
        ("float('nan')", "payload_invalid"),
        ("'x' * 2_000_000", "payload_too_large"),
    ],
)
def test_a_payload_that_is_no_json_is_an_error_as_in_a_worker(of, returned, kind):
    assert of(f"return {returned}")().error.kind == kind


def test_an_own_commit_is_refused_as_in_a_worker(of):
    assert of("db.commit()")().error.kind == "transaction_ended"


# Hypothesis has a callback in the garbage collector: an alarm that lands in it is swallowed and sent
# again, and this warning of it would be an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "endless",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "from sqlalchemy import text\ndb.execute(text('WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n'))",
    ],
)
def test_the_soft_timeout_holds(of, endless):
    """RUN-2"""
    result = of(endless, timeout="50ms")()
    assert (result.outcome, result.error.kind) == ("soft_timeout", "soft_timeout")
    assert "50ms" in result.error.message


def test_somebody_elses_alarm_is_given_back(of):
    run, alarms = of("return 1"), []
    before = signal.signal(signal.SIGALRM, lambda *_: alarms.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 60)
        run()
        left_s, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s <= 60
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        give_up = time.monotonic() + 30
        while not alarms and time.monotonic() < give_up:
            signal.sigtimedwait([], 0.1)
        assert alarms == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_handlers_and_limits_of_the_process_stay_as_they_are(of):
    import resource

    def taken():
        limits = [
            resource.getrlimit(kind) for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE)
        ]
        levels = [logging.getLogger(name).level for name in ("", "alembic", "sqlalchemy.pool")]
        return limits, levels, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    before = taken()
    of("return 1")()
    assert taken() == before


def test_a_ctrl_c_ends_the_test_and_is_no_outcome(of):
    with pytest.raises(KeyboardInterrupt):
        of("raise KeyboardInterrupt")()


def test_what_is_logged_and_printed_is_kept_with_its_secrets_masked(of, capsys):
    """CFG-8, LOG-5"""
    body = "import logging, sys\nctx.log.warning('token %s', ctx.secrets['token'])\nctx.log.debug('no')\n"
    body += "logging.getLogger('other').info('hello')\nprint('printed', ctx.secrets['token'])\nreturn ctx.secrets['token']"
    result = of(body, secrets={"token": "tok-$ecret"})()
    assert [(line.level, line.logger, line.message) for line in result.logs] == [
        ("warning", "sense.one", "token ********"),
        ("info", "other", "hello"),
    ]
    assert result.printed == "printed ********\n"
    assert result.payload == "********"
    assert "printed" in capsys.readouterr().out


def test_signals_are_causes_in_the_words_of_a_reflex(of):
    run = of(
        "t = ctx.trigger\nreturn [t.kind, t.left_out, [[s.id, s.sense, s.payload] for s in t.signals]]"
    )
    assert run().payload == ["manual", 0, []]
    first = Signal(7, "disk", datetime(2026, 1, 1, tzinfo=UTC), {"full": True})
    told = run(signals=[first, ("heat", {"c": 80})]).payload
    assert told == ["on", 0, [[7, "disk", {"full": True}], [2, "heat", {"c": 80}]]]
    due = Trigger(TriggerKind.CRON, due=datetime(2026, 1, 1, tzinfo=UTC), merged=2)
    assert run(trigger=due).payload == ["cron", 0, []]


def test_payloads_are_given_as_by_hand(of):
    run = of("t = ctx.trigger\nreturn [t.kind, list(t.payloads), t.payloads_left_out]")
    assert run(payloads=[1, {"n": 2}]).payload == ["manual", [1, {"n": 2}], 0]
    more = Trigger(TriggerKind.MANUAL, payloads=(3,), payloads_left_out=4)
    assert run(trigger=more).payload == ["manual", [3], 4]


def test_the_signal_of_one_sense_is_the_cause_of_another(of, counting):
    told = counting()().signal
    assert of("return ctx.trigger.signals[0].payload")(signals=[told]).payload == {"n": 1}


def test_a_peer_is_another_sense_under_test(of, counting):
    peer = counting()
    peer()
    run = of(
        "from sqlalchemy import text\nreturn peers['counting'].scalar(text('SELECT count(*) FROM readings'))",
        peers={"counting": peer},
    )
    assert run().payload == 1
    peer()
    assert run().payload == 2


ASK_PEER = "from sqlalchemy import text\nreturn [tuple(r) for r in peers['{}'].execute(text('SELECT {}')).fetchall()]"


def test_a_peer_that_is_a_sense_has_the_tables_of_its_migrations(of, counting):
    counting()
    rows = [{"at_us": 5, "load": 0.5}]
    run = of(
        ASK_PEER.format("counting", "id, load FROM readings"),
        peers={"counting": {"readings": rows}},
    )
    assert run().error.kind == "payload_invalid"  # a tuple is no JSON
    run = of(
        ASK_PEER.format("counting", "load FROM readings").replace("tuple(r)", "list(r)"),
        peers={"counting": {"readings": rows}},
    )
    assert run().payload == [[0.5]]


def test_rows_that_do_not_fit_a_peer_are_named(of, counting):
    counting()
    with pytest.raises(RowUnfit, match=r"row 2 does not fit into readings: .*at_us"):
        of("return 1", peers={"counting": {"readings": [{"at_us": 1}, {"load": 1}]}})
    with pytest.raises(RowUnfit, match="no table 'reading', but: readings"):
        of("return 1", peers={"counting": {"reading": [{"at_us": 1}]}})


def test_a_peer_that_is_no_sense_here_has_plain_tables(of):
    run = of(
        ASK_PEER.format("weather", "c, rain FROM now").replace("tuple(r)", "list(r)"),
        peers={"weather": {"now": [{"c": 21.5}, {"c": 3, "rain": "much"}]}},
    )
    assert run().payload == [[21.5, None], [3, "much"]]


def test_a_peer_may_have_no_database_yet_and_an_unknown_one_is_named(of):
    run = of("return peers['disk']", peers={"disk": None, "heat": None})
    assert "has no database yet" in run().error.message
    misspelt = of("return peers['disc']", peers={"disk": None})().error
    assert (misspelt.kind, "the peers are: disk" in misspelt.message) == ("peer", True)


def test_blobs_are_stored(of):
    run = of("return ctx.blobs.put(b'large')")
    assert run.blobs.get(run().payload) == b"large"


def test_rows_can_be_there_before_the_first_run(counting):
    run = counting(now=datetime(2026, 3, 1, tzinfo=UTC))
    at_us = run.clock.now_us()
    run.insert("readings", {"at_us": at_us, "load": 0.1}, {"at_us": at_us, "load": 0.2})
    assert run().payload == {"n": 3}
    with pytest.raises(RowUnfit, match="there is no table 'reading'; there are: readings"):
        run.rows("reading")
    with pytest.raises(RowUnfit, match="row 1 does not fit into readings"):
        run.insert("readings", {"lode": 1})
    assert run().payload == {"n": 4}


def test_old_rows_go_as_the_sense_has_declared(counting):
    run = counting()
    run()
    run(after_s=7_200)
    assert [row["id"] for row in run.rows("readings")] == [2]


def test_a_sense_is_looked_for_in_the_project_of_its_test(sense):
    assert sense("memory")().payload["available_bytes"] > 0


def test_a_sense_that_is_nowhere_says_where_it_was_looked_for(project, sense):
    with pytest.raises(SenseError, match="senses/nowhere") as caught:
        sense("nowhere", project=project.root)
    assert caught.value.__notes__ == [f"hint: {caught.value.hint}"]


def test_a_compute_that_awaits_works_too(project, sense):
    project.sense(
        "one",
        "import asyncio\nasync def compute(db, peers, ctx):\n    await asyncio.sleep(0)\n    return 1\n",
    )
    assert sense("one", project=project.root)().payload == 1


def test_limits_of_a_process_are_for_a_worker(of):
    with pytest.raises(TypeError, match="sense_in_worker"):
        of("return 1", limits={"memory": "64MB"})
