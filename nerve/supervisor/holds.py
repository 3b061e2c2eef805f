"""What the log says of pauses, and of quarantines and rests that a person ends.

Parent, and commands without one; pure. Both say the same in the same words.
"""

from collections.abc import Mapping
from typing import Any

from nerve.clock import rfc3339
from nerve.store.batch import Pause, Quarantine
from nerve.supervisor.conduct import Conduct

By = Mapping[str, Any]
Row = tuple[str, str, str, dict[str, Any]]
"""Source, type, level and payload of a row of the log."""


def paused(pause: Pause, by: By) -> Row:
    """A person has paused a sense."""
    reason = f": {pause.reason}" if pause.reason else ""
    message = f"paused by `{by['command']}`{reason}"
    return pause.sense, "sense.paused", "warning", {"message": message, "by": dict(by)}


def still_paused(pause: Pause) -> Row:
    """A start has found that a sense is paused."""
    reason = f": {pause.reason}" if pause.reason else ""
    message = f"paused since {rfc3339(pause.since_us)}{reason}"
    payload = {"message": message, "hint": f"`nerve resume {pause.sense}` lets it run"}
    return pause.sense, "sense.paused", "warning", payload


def resumed(pause: Pause, by: By) -> Row:
    """A person has ended a pause."""
    message = f"its pause since {rfc3339(pause.since_us)} was ended by `{by['command']}`"
    payload = {"message": message, "reason": pause.reason, "by": dict(by)}
    return pause.sense, "sense.resumed", "info", payload


def lifted(quarantine: Quarantine, by: By) -> Row:
    """A person has ended a quarantine."""
    until = rfc3339(quarantine.until_us)
    message = f"its quarantine until {until} was ended by `{by['command']}`"
    told = {"until": until, "times": quarantine.times, "reason": quarantine.reason}
    return (
        quarantine.sense,
        "quarantine.lifted",
        "info",
        {"message": message, **told, "by": dict(by)},
    )


def relieved(sense: str, conduct: Conduct, by: By) -> Row:
    """A person has ended a rest, and what was held against a sense is forgotten."""
    until = rfc3339(conduct.rests_until_us)
    message = f"its rest until {until} was ended by `{by['command']}`"
    told = {"until": until, "strikes": conduct.strikes, "reason": conduct.reason}
    return sense, "sense.resumed", "info", {"message": message, **told, "by": dict(by)}
