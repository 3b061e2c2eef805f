"""What happened to time: the machine slept, its clock was set, nerve itself stood still.

Parent; pure. Three clocks are read at a steady pace and compared. The monotonic one counts
while the machine is awake, the one since boot counts its sleep as well, and the wall
clock is what people set. A sleep makes the first fall behind the second; a step of the
wall clock makes it differ from the second; and a parent that got no turn finds all
three further on than it should. Schedules survive each of these (`nerve.reflex.schedule`);
here it is only told, so that a person can see why things ran when they did.
"""

from dataclasses import dataclass
from typing import Any

from nerve.clock import US_PER_S

HELD_UP_S = 2.0
"""So much too late the loop has to come round for that to be worth a log row."""
SUSPENDED_S = 1.0
"""A shorter sleep is not told."""
STEPPED_S = 1.0
"""A smaller step is not told; NTP slews by 0.0005 s a second at most."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The three clocks at one moment.

    Attributes:
        monotonic, boottime: seconds; only differences mean anything.
        wall_us: UTC microseconds.
    """

    monotonic: float
    boottime: float
    wall_us: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A row for the log."""

    type: str
    level: str
    payload: dict[str, Any]


def compare(before: Reading, now: Reading, pace_s: float) -> list[Finding]:
    """Tell what happened between two readings that should be `pace_s` seconds apart."""
    awake_s = now.monotonic - before.monotonic
    passed_s = now.boottime - before.boottime
    asleep_s = passed_s - awake_s
    step_s = (now.wall_us - before.wall_us) / US_PER_S - passed_s
    found = []
    if asleep_s >= SUSPENDED_S:
        found.append(_suspended(asleep_s))
    if abs(step_s) >= STEPPED_S:
        found.append(_stepped(step_s))
    if awake_s - pace_s > HELD_UP_S:
        found.append(_held_up(awake_s - pace_s))
    return found


def _suspended(seconds: float) -> Finding:
    message = f"the machine was suspended for {seconds:.0f} s"
    hint = "intervals count only the time awake; cron and aligned ticks of that time run once now"
    payload = {"message": message, "hint": hint, "seconds": round(seconds, 3)}
    return Finding("clock.suspended", "warning", payload)


def _stepped(seconds: float) -> Finding:
    way = "forward" if seconds > 0 else "back"
    message = f"the machine's clock was set {way} by {abs(seconds):.1f} s"
    hint = "intervals do not follow; cron and aligned ticks do, once each but after a step of hours"
    payload = {"message": message, "hint": hint, "seconds": round(seconds, 3)}
    return Finding("clock.stepped", "warning", payload)


def _held_up(seconds: float) -> Finding:
    message = f"nerve itself stood still for {seconds:.0f} s: stopped, or short of CPU"
    hint = "deadlines and ticks of that time came late; look at the machine"
    return Finding("nerve.held_up", "warning", {"message": message, "hint": hint})
