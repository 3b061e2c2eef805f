"""What needs a person, the worst first, each with the command to type. Pure.

What takes care of itself within moments is none: a sense that waits for its throttle, a worker that
is replaced. And what follows from something that is told is not told again: the senses of a group
that was given up, the signals that wait for a sense that is paused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from nerve.cli.status.picture import Picture
from nerve.cli.wording import counted, local_time, span, visible
from nerve.clock import US_PER_S
from nerve.wire.status import SenseStatus

LATE_US = 5 * US_PER_S
"""A start so late, or a trigger that has waited so long for its turn, is worth a line."""
LAGGING_US = 60 * US_PER_S
"""Signals that have waited so long for an answer are."""
STARTING_US = 60 * US_PER_S
"""A start of nerve that takes so long is."""


class Rank(IntEnum):
    """How bad it is: the lower, the worse."""

    STORAGE = 0
    FATAL = 1
    BACKOFF = 2
    QUARANTINED = 3
    UNAVAILABLE = 4
    FAILING = 5
    LATE = 6
    LAGGING = 7
    CONFIGURATION = 8
    PAUSED = 9


@dataclass(frozen=True, slots=True)
class Need:
    """Something for a person to do.

    Attributes:
        word: what it is, a stable word or two.
        level: `error`, or `warning` for what harms nothing that is meant to run.
        about: the sense or group; empty for nerve itself.
        text: what is the matter, visible, in one line.
        command: to type next.
    """

    rank: Rank
    word: str
    about: str
    text: str
    command: str

    @property
    def level(self) -> Literal["error", "warning"]:
        """How loudly it is told."""
        return "error" if self.rank <= Rank.FAILING else "warning"


def needs_of(picture: Picture) -> list[Need]:
    """Return all that needs a person, the worst first."""
    found = [*_of_nerve(picture), *_of_groups(picture), *_of_senses(picture)]
    return sorted(found, key=lambda need: need.rank)


def _of_nerve(picture: Picture) -> Iterator[Need]:
    nerve = picture.nerve
    if picture.fault:
        yield Need(Rank.STORAGE, "storage", "", visible(picture.fault), "nerve doctor")
    if nerve is None:
        return
    if nerve.trouble:
        text = f"nothing is recorded, and nothing started: {visible(nerve.trouble)}"
        yield Need(Rank.STORAGE, "storage", "", text, "nerve doctor")
    if not nerve.is_ready and picture.now_us - nerve.started_us > STARTING_US:
        text = f"it has been starting for {span(picture.now_us - nerve.started_us)}"
        yield Need(Rank.BACKOFF, "starting", "", text, "nerve logs --level warning --since 10m")
    if nerve.needs_restart:
        keys = visible(", ".join(nerve.needs_restart))
        text = f"takes effect when nerve is stopped and started: {keys}"
        yield Need(Rank.CONFIGURATION, "restart", "", text, "nerve stop")
    if picture.is_changed:
        text = "nerve.yaml was changed after nerve had read it"
        yield Need(Rank.CONFIGURATION, "changed", "", text, "nerve reload")


def _of_groups(picture: Picture) -> Iterator[Need]:
    for group in picture.groups:
        if group.state == "fatal":
            text = "its worker died too often; it is not started again"
            yield Need(Rank.FATAL, "fatal", group.name, text, f"nerve restart {group.name}")
        elif group.state == "backoff":
            text = f"its worker has died {counted(group.deaths, 'time')} within a minute"
            command = f"nerve logs --source {group.name} --level error"
            yield Need(Rank.BACKOFF, "dying", group.name, text, command)


def _of_senses(picture: Picture) -> Iterator[Need]:
    given_up = {group.name for group in picture.groups if group.state == "fatal"}
    for sense in picture.senses:
        if sense.group not in given_up:
            yield from _first(_of_sense(picture, sense))


def _of_sense(picture: Picture, sense: SenseStatus) -> Iterator[Need]:
    """Yield what is the matter with a sense, the worst first; the others follow from it."""
    name, now_us, files = sense.name, picture.now_us, picture.files
    why = f"nerve why {name}"
    if paused := files.paused.get(name):
        reason = f": {visible(paused.reason)}" if paused.reason else ""
        text = f"since {moment(paused.since_us, picture)}{reason}"
        yield Need(Rank.PAUSED, "paused", name, text, f"nerve resume {name}")
    quarantine = files.quarantined.get(name)
    if quarantine and quarantine.until_us > now_us:
        more = span(quarantine.until_us - now_us)
        text = f"until {moment(quarantine.until_us, picture)} ({more} more): "
        yield Need(Rank.QUARANTINED, "quarantined", name, text + visible(quarantine.reason), why)
    if sense.blocked == "unavailable":
        yield Need(Rank.UNAVAILABLE, "unavailable", name, visible(sense.why), why)
    ran = files.ran.get(name)
    if ran and ran.has_failed:
        times = f", {counted(ran.times, 'time')}" if ran.times > 1 else ""
        since = f" since {moment(ran.since_us, picture)}" if times and ran.since_us else ""
        when = f"{span(now_us - ran.last_us)} ago{times}{since}"
        # What it says stands first: on a narrow terminal nothing else of the line is left.
        text = f"{visible(ran.detail)} ({when})" if ran.detail else when
        yield Need(Rank.FAILING, ran.last, name, text, why)
    yield from _slow(picture, sense)


def _slow(picture: Picture, sense: SenseStatus) -> Iterator[Need]:
    name, now_us = sense.name, picture.now_us
    command = f"nerve why {name}"
    if sense.waiting_since_us is not None and now_us - sense.waiting_since_us > LATE_US:
        text = (
            f"waits {span(now_us - sense.waiting_since_us)} for its turn in the group {sense.group}"
        )
        yield Need(Rank.LATE, "late", name, text, command)
    elif sense.late_us is not None and sense.late_us > LATE_US:
        text = f"started {span(sense.late_us)} late: its group {sense.group} cannot keep up"
        yield Need(Rank.LATE, "late", name, text, command)
    for lag in picture.files.lags.get(name, ()):
        waits_us = now_us - lag.since_us
        if waits_us > LAGGING_US and not sense.held_by:
            more = " or more" if lag.is_more else ""
            text = f"{counted(lag.number, 'signal')}{more} of {lag.source}, for {span(waits_us)}"
            yield Need(Rank.LAGGING, "lagging", name, text, command)


def moment(at_us: int, picture: Picture) -> str:
    """Write a time for a glance: without its date where that is today's."""
    date, _, time = local_time(at_us, picture.zone).partition(" ")
    today = local_time(picture.now_us, picture.zone).partition(" ")[0]
    return time if date == today else f"{date} {time}"


def _first(needs: Iterable[Need]) -> list[Need]:
    first = next(iter(needs), None)
    return [] if first is None else [first]
