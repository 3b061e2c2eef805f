"""How often each sense ended how, from the journal's table `outcomes`. Read-only."""

from dataclasses import dataclass

from nerve.cli.journal import open_journal
from nerve.clock import rfc3339
from nerve.config.whereabouts import Located
from nerve.errors import NothingHasRun

FAILURES = frozenset({"error", "soft_timeout", "killed", "crashed"})
OUTCOMES = FAILURES | {"signal", "no_signal"}
"""How a trigger that was accepted ends; other words are reasons why one was not."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often one sense had one outcome, or one reason not to run."""

    sense: str
    outcome: str
    count: int
    last_at_us: int

    def as_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "outcome": self.outcome,
            "count": self.count,
            "last_at": rfc3339(self.last_at_us),
        }


def counts(located: Located) -> list[Count]:
    """Return all counts, the latest first; none where nothing has run yet."""
    try:
        with open_journal(located) as reader:
            rows = reader.execute(
                "SELECT sense, outcome, count, last_at_us FROM outcomes ORDER BY last_at_us DESC"
            ).fetchall()
    except NothingHasRun:
        return []
    return [Count(*row) for row in rows]


def last_outcome(found: list[Count], sense: str) -> Count | None:
    """Return how a sense's last run ended."""
    return next((c for c in found if c.sense == sense and c.outcome in OUTCOMES), None)
