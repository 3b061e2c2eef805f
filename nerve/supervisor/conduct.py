"""How long a sense is left alone after a worker died over it.

Parent; pure. A strike is one death for which this sense is answerable (`inquest`). The first
ones in a row cost it a short rest, MAX_STRIKES of them a quarantine, each longer than
the one before. When a quarantine is over the sense is tried once: if it does it again it goes
straight back, and if it ends, in whatever way, its strikes are forgotten. The length of
its past quarantines is remembered for FORGIVEN_AFTER_US.

A sense that takes its worker down while it is *loaded* is left out of the next start.
Trying it again means restarting the worker, which its neighbours feel, so that is done less often.

Times are UTC, because a quarantine is stored and outlives the process and the machine's boot.
"""

import random
from dataclasses import dataclass, replace
from typing import Final

from nerve.clock import US_PER_S

MAX_STRIKES = 3
"""In a row, until it is quarantined."""
RESTS_S: Final = (1.0, 5.0)
"""After the first and the second strike."""
LOAD_REST_S = 60.0
"""After each strike while it was loaded."""
QUARANTINE_FIRST_S = 60.0
QUARANTINE_GROWTH = 4
QUARANTINE_MAX_S = 6 * 3600.0
FORGIVEN_AFTER_US = 3600 * US_PER_S
"""So long after a quarantine the next one begins at QUARANTINE_FIRST_S again."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """What is held against one sense.

    Attributes:
        strikes: in a row.
        quarantines: how many it has had lately.
        rests_until_us: when it may run again.
        quarantined_until_us: the end of its last quarantine; 0 without one.
        reason: why it rests.
    """

    strikes: int = 0
    quarantines: int = 0
    rests_until_us: int = 0
    quarantined_until_us: int = 0
    reason: str = ""

    @property
    def is_quarantined(self) -> bool:
        """Whether the rest is, or was, a quarantine."""
        return self.strikes >= MAX_STRIKES


def struck(conduct: Conduct, now_us: int, *, loading: bool, reason: str) -> Conduct:
    """Hold one more death against a sense."""
    strikes = conduct.strikes + 1
    if strikes >= MAX_STRIKES:
        forgiven = now_us - conduct.quarantined_until_us > FORGIVEN_AFTER_US
        times = 1 if forgiven else conduct.quarantines + 1
        length_s = min(
            QUARANTINE_FIRST_S * float(QUARANTINE_GROWTH) ** (times - 1), QUARANTINE_MAX_S
        )
        until_us = now_us + _us(length_s)
        return Conduct(strikes, times, until_us, until_us, reason)
    length_s = LOAD_REST_S if loading else RESTS_S[strikes - 1] * _chance()
    return replace(conduct, strikes=strikes, rests_until_us=now_us + _us(length_s), reason=reason)


def absolved(conduct: Conduct) -> Conduct:
    """It has run to an end of its own: the strikes are forgotten, its quarantines not yet."""
    return replace(conduct, strikes=0)


def _us(seconds: float) -> int:
    return int(seconds * US_PER_S)


def _chance() -> float:
    # So that senses which struck together do not come back together.
    return random.uniform(0.8, 1.2)  # noqa: S311  guards nothing
