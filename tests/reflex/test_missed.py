from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from nerve.reflex import missed
from nerve.reflex.missed import MAX_CATCHUP_RUNS, MAX_COUNTED, plan
from nerve.reflex.timers import Timer
from nerve.sense import TriggerKind

US = 1_000_000
HOUR = 3_600 * US


def us(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp()) * US


def hourly(missed, **more):
    return Timer("disk", TriggerKind.CRON, cron="0 * * * *", missed=missed, **more)


AFTER, UNTIL = us(2026, 5, 1, 9, 0), us(2026, 5, 1, 12, 30)
TICKS = tuple(us(2026, 5, 1, hour) for hour in (10, 11, 12))


def test_skipped_ticks_are_counted():
    """SIG-4, SIG-8"""
    assert plan(hourly("skip"), AFTER, UNTIL).skipped == 3
    assert plan(hourly("skip"), AFTER, UNTIL).runs == ()


def test_once_is_one_trigger_that_stands_for_all():
    """SIG-4, SIG-8"""
    planned = plan(hourly("once"), AFTER, UNTIL)
    assert (planned.runs, planned.merged, planned.skipped) == (TICKS[-1:], 2, 0)


def test_all_is_a_trigger_for_each():
    """SIG-4, SIG-8"""
    assert plan(hourly("all"), AFTER, UNTIL).runs == TICKS


def test_catchup_leaves_out_what_is_older():
    """SIG-4, SIG-8"""
    planned = plan(hourly("all", catchup_us=2 * HOUR), AFTER, UNTIL)
    assert (planned.runs, planned.skipped) == (TICKS[1:], 1)
    planned = plan(hourly("once", catchup_us=2 * HOUR), AFTER, UNTIL)
    assert (planned.runs, planned.merged, planned.skipped) == (TICKS[-1:], 1, 1)
    assert plan(hourly("once", catchup_us=HOUR // 4), AFTER, UNTIL).skipped == 3


def test_however_long_it_was_the_runs_are_bounded_and_the_newest():
    year = us(2027, 5, 1)
    planned = plan(hourly("all"), AFTER, year)
    assert (len(planned.runs), planned.skipped) == (
        MAX_CATCHUP_RUNS,
        MAX_COUNTED - MAX_CATCHUP_RUNS,
    )
    assert planned.runs[-1] == year
    assert plan(hourly("all", catchup_us=2 * HOUR), AFTER, year).runs == planned.runs[-3:]
    every = Timer("disk", TriggerKind.INTERVAL, 10_000, missed="all")
    planned = plan(every, AFTER, year)
    assert planned.runs[-1] == year - (year - AFTER) % (10 * US)
    assert len(planned.runs) + planned.skipped == (year - AFTER) // (10 * US)


def test_a_clock_that_was_set_back_has_missed_nothing():
    """SIG-4"""
    assert plan(hourly("all"), UNTIL, AFTER).runs == ()
    assert plan(hourly("skip"), UNTIL, AFTER).skipped == 0


@given(
    st.sampled_from(["skip", "once", "all"]),
    st.one_of(st.none(), st.integers(1, 5 * HOUR)),
    st.integers(0, 90 * HOUR),
    st.sampled_from(
        [
            {"cron": "*/20 * * * *"},
            {"interval_ms": 1_234_000},
            {"interval_ms": 1_800_000, "align": True},
        ]
    ),
)
def test_each_missed_tick_is_run_merged_or_skipped(missed, catchup_us, long_us, rule):
    """SIG-8"""
    kind = TriggerKind.CRON if "cron" in rule else TriggerKind.INTERVAL
    timer = Timer("disk", kind, missed=missed, catchup_us=catchup_us, **rule)
    planned = plan(timer, AFTER, AFTER + long_us)
    counted = plan(Timer("disk", kind, **rule), AFTER, AFTER + long_us).skipped
    assert len(planned.runs) + planned.merged + planned.skipped == counted
    assert list(planned.runs) == sorted(set(planned.runs))
    assert all(AFTER < due_us <= AFTER + long_us for due_us in planned.runs)
    if catchup_us is not None:
        assert all(due_us >= AFTER + long_us - catchup_us for due_us in planned.runs)


def test_senses_with_one_rule_are_counted_once_however_they_are_shifted(monkeypatch):
    """A start after days of thousands of senses must not take minutes."""
    asked = []

    def following(rule, at_us):
        asked.append(at_us)
        return (at_us // (60 * US) + 1) * 60 * US

    monkeypatch.setattr(missed, "next_wall_us", following)
    missed._wall_ticks.cache_clear()
    timers = [Timer(f"s{n}", TriggerKind.INTERVAL, 60_000, n, align=True) for n in range(300)]
    assert {plan(timer, AFTER, UNTIL).skipped for timer in timers} == {210}
    assert len(asked) < 300
    missed._wall_ticks.cache_clear()


@given(st.integers(0, 59_999), st.integers(0, 40 * 60 * US), st.integers(0, 40 * 60 * US))
def test_the_shift_of_a_timer_shifts_its_ticks(phase_ms, begin_us, long_us):
    """SIG-4"""
    timer = Timer("s", TriggerKind.INTERVAL, 60_000, phase_ms, align=True, missed="all")
    total, ticks = missed.elapsed(timer, AFTER + begin_us, AFTER + begin_us + long_us)
    expected = [
        at_us
        for n in range(90)
        if AFTER + begin_us
        < (at_us := AFTER + n * 60 * US - 60 * US + phase_ms * 1_000)
        <= AFTER + begin_us + long_us
    ]
    assert (total, list(ticks)) == (len(expected), expected[-MAX_CATCHUP_RUNS:])
