"""The table in docs/scheduling.md, cell by cell, where clocks change by an hour and by half."""

import re
from functools import partial
from pathlib import Path

import pytest

from nerve.config.durations import parse_duration
from nerve.reflex.aligned import next_aligned_us
from nerve.reflex.cron import next_us
from nerve.reflex.timers import Timer
from nerve.reflex.upcoming import next_tick_us
from nerve.sense import TriggerKind
from tests.reflex.zones import MINUTE_US, between, local_us, shown

PAGE = Path(__file__).parents[2] / "docs/scheduling.md"
BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
SPRING = {
    BERLIN: ("2027-03-28 00:00", "2027-03-28 05:30"),  # 02:00 to 03:00 is left out
    NEW_YORK: ("2027-03-14 00:00", "2027-03-14 05:30"),  # likewise
    LORD_HOWE: ("2026-10-04 00:00", "2026-10-04 05:30"),  # 02:00 to 02:30
}
AUTUMN = {
    BERLIN: ("2026-10-25 00:00", "2026-10-25 05:30"),  # 02:00 to 03:00 comes twice
    NEW_YORK: ("2026-11-01 00:00", "2026-11-01 05:30"),  # 01:00 to 02:00
    LORD_HOWE: ("2027-04-04 00:00", "2027-04-04 05:30"),  # 01:30 to 02:00
}
OFFSETS = {
    (BERLIN, "s"): "+02:00", (BERLIN, "w"): "+01:00",
    (NEW_YORK, "s"): "-04:00", (NEW_YORK, "w"): "-05:00",
    (LORD_HOWE, "s"): "+11:00", (LORD_HOWE, "w"): "+10:30",
}  # fmt: skip


def following(cause, zone):
    if cause.startswith("align "):
        return partial(next_aligned_us, parse_duration(cause.split()[1]), 0, zone)
    return partial(next_us, cause, zone)


def ticks(cause, zone, night):
    begin_us, end_us = (local_us(zone, text) for text in night)
    found = [shown(zone, at_us) for at_us in between(following(cause, zone), begin_us, end_us)]
    short = {offset: mark for (place, mark), offset in OFFSETS.items() if place == zone}
    return " ".join(text[11:16] + short[text[16:]] for text in found)


# What the wall clock shows at each tick after midnight up to 05:30: w in winter time, s in summer
# time.
CELLS = [
    # fixed time, left out: once, right after the change
    ("30 2 * * *", SPRING, BERLIN, "03:00s"),
    ("30 2 * * *", SPRING, NEW_YORK, "03:00s"),
    ("15 2 * * *", SPRING, LORD_HOWE, "02:30s"),
    # several fixed times: together
    ("0,20,40 2,3 * * *", SPRING, BERLIN, "03:00s 03:20s 03:40s"),
    ("10,50 2 * * *", SPRING, NEW_YORK, "03:00s"),
    ("0,20,40 2 * * *", SPRING, LORD_HOWE, "02:30s 02:40s"),
    # fixed time, twice there: the first time
    ("30 2 * * *", AUTUMN, BERLIN, "02:30s"),
    ("30 1 * * *", AUTUMN, NEW_YORK, "01:30s"),
    ("45 1 * * *", AUTUMN, LORD_HOWE, "01:45s"),
    ("0,30 1-3 * * *", AUTUMN, BERLIN, "01:00s 01:30s 02:00s 02:30s 03:00w 03:30w"),
    # by the wall clock, left out: not at all
    ("*/30 2-3 * * *", SPRING, BERLIN, "03:00s 03:30s"),
    ("10 * * * *", SPRING, NEW_YORK, "00:10w 01:10w 03:10s 04:10s 05:10s"),
    ("0 */2 * * *", SPRING, LORD_HOWE, "04:00s"),
    ("*/20 2 * * *", SPRING, LORD_HOWE, "02:40s"),
    # by the wall clock, twice there: both times
    ("*/30 2 * * *", AUTUMN, BERLIN, "02:00s 02:30s 02:00w 02:30w"),
    ("0 */1 * * *", AUTUMN, NEW_YORK, "01:00s 01:00w 02:00w 03:00w 04:00w 05:00w"),
    ("0 */2 * * *", AUTUMN, LORD_HOWE, "02:00w 04:00w"),
    ("45 * * * *", AUTUMN, LORD_HOWE, "00:45s 01:45s 01:45w 02:45w 03:45w 04:45w"),
    # aligned, left out: right after the change
    ("align 1d", SPRING, BERLIN, ""),
    ("align 2h", SPRING, BERLIN, "03:00s 04:00s"),
    ("align 2h", SPRING, NEW_YORK, "03:00s 04:00s"),
    ("align 2h", SPRING, LORD_HOWE, "02:30s 04:00s"),
    ("align 40m", SPRING, BERLIN, "00:40w 01:20w 03:00s 03:20s 04:00s 04:40s 05:20s"),
    ("align 1h", SPRING, LORD_HOWE, "01:00w 02:30s 03:00s 04:00s 05:00s"),
    # aligned, twice there: both times up to an hour, the first time beyond
    ("align 30m", AUTUMN, BERLIN, "00:30s 01:00s 01:30s 02:00s 02:30s 02:00w 02:30w 03:00w 03:30w 04:00w 04:30w 05:00w 05:30w"),
    ("align 1h", AUTUMN, NEW_YORK, "01:00s 01:00w 02:00w 03:00w 04:00w 05:00w"),
    ("align 30m", AUTUMN, LORD_HOWE, "00:30s 01:00s 01:30s 01:30w 02:00w 02:30w 03:00w 03:30w 04:00w 04:30w 05:00w 05:30w"),
    ("align 2h", AUTUMN, BERLIN, "02:00s 04:00w"),
    ("align 90m", AUTUMN, NEW_YORK, "01:30s 03:00w 04:30w"),
    ("align 90m", AUTUMN, LORD_HOWE, "01:30s 03:00w 04:30w"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "night", "zone", "expected"),
    CELLS,
    ids=[f"{c[0]}, {'spring' if c[1] is SPRING else 'autumn'}, {c[2]}" for c in CELLS],
)
def test_a_cause_over_the_change_of_daylight_saving(cause, night, zone, expected):
    """SIG-4"""
    assert ticks(cause, zone, night[zone]) == expected


@pytest.mark.parametrize("night", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
def test_an_interval_does_not_know_of_the_change(zone, night):
    """SIG-4"""
    began_us, end_us = (local_us(zone, text) for text in night[zone])
    timer = Timer("disk", TriggerKind.INTERVAL, 900_000, timezone=zone)
    found = between(lambda now_us: next_tick_us(timer, now_us, began_us), began_us, end_us)
    assert found == list(range(began_us + 900_000_000, end_us + 1, 900_000_000))


@pytest.mark.parametrize("night", [SPRING, AUTUMN], ids=["spring", "autumn"])
@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
def test_an_aligned_interval_that_is_no_part_of_a_day_counts_from_1970(zone, night):
    begin_us, end_us = (local_us(zone, text) for text in night[zone])
    step_us = 50 * MINUTE_US
    found = between(following("align 50m", zone), begin_us, end_us)
    assert found == [
        at_us
        for at_us in range(begin_us // step_us * step_us, end_us + 1, step_us)
        if at_us > begin_us
    ]


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        (BERLIN, "2027-03-28 12:00"),
        (BERLIN, "2026-10-25 12:00"),
        (NEW_YORK, "2026-11-01 12:00"),
        (LORD_HOWE, "2026-10-04 12:00"),
    ],
)
def test_an_aligned_day_is_one_of_the_zone_with_its_23_or_25_hours(zone, text):
    noon_us = local_us(zone, text)
    due_us = next_aligned_us(86_400_000, 0, zone, noon_us)
    assert shown(zone, due_us)[11:16] == "00:00"
    assert 0 < due_us - noon_us <= 12 * 3_600_000_000


def test_a_midnight_that_is_left_out_has_its_tick_and_a_second_one_has_none():
    cairo, santiago = "Africa/Cairo", "America/Santiago"
    begin_us, end_us = local_us(cairo, "2026-04-23 12:00"), local_us(cairo, "2026-04-24 12:00")
    for cause in ("align 1d", "0 0 * * *"):
        found = between(following(cause, cairo), begin_us, end_us)
        assert [shown(cairo, at_us) for at_us in found] == ["2026-04-24 01:00+03:00"]
    begin_us, end_us = (
        local_us(santiago, "2027-04-03 12:00"),
        local_us(santiago, "2027-04-04 12:00"),
    )
    found = between(following("30 23 * * *", santiago), begin_us, end_us)
    assert [shown(santiago, at_us) for at_us in found] == ["2027-04-03 23:30-03:00"]


def test_the_29th_of_february_comes_in_leap_years_only():
    found = between(
        following("0 12 29 2 *", BERLIN),
        local_us(BERLIN, "2026-01-01"),
        local_us(BERLIN, "2033-01-01"),
    )
    assert [shown(BERLIN, at_us)[:10] for at_us in found] == ["2028-02-29", "2032-02-29"]


def test_a_day_that_a_month_does_not_have_is_left_out():
    found = between(
        following("0 12 31 * *", BERLIN),
        local_us(BERLIN, "2026-01-31 13:00"),
        local_us(BERLIN, "2026-07-01"),
    )
    assert [shown(BERLIN, at_us)[:10] for at_us in found] == ["2026-03-31", "2026-05-31"]


def test_every_cause_in_the_table_of_the_page_is_one_that_is_tested():
    table = re.search(r"\| cause \|.*?\n\n", PAGE.read_text(), re.DOTALL)[0]
    examples = re.findall(r"`([^`]* \* \* \*)`", table) + [
        f"align {found}" for found in re.findall(r"`interval: (\w+), align: true`", table)
    ]
    assert len(examples) >= 6
    assert set(examples) <= {*(cell[0] for cell in CELLS), "align 50m"}
