"""How long a start and a stop of nerve may take, at the most.

Parent and commands; pure. Each wait of a start or a stop has a limit of its own; these are the
sums, for whoever has to choose a time after which something must be wrong.
"""

from nerve.clock import MS_PER_S
from nerve.config.models import Config
from nerve.supervisor.generation import KILL_TIMEOUT_S
from nerve.supervisor.group import STOP_MARGIN_S

GATE_PATIENCE_S = 20.0
"""How long all groups wait for the slowest one at the start. After that they begin without it:
one import that hangs must not keep everybody waiting."""
GATE_PATIENCE_PER_SENSE_S = 0.02
"""So much longer for each sense: a first start makes ten thousand databases in 25 s."""
DRAIN_TIMEOUT_S = 10.0
"""How long a stop waits for a journal that cannot be written."""
LAUNCHES_PATIENCE_S = 5.0
"""At the stop, for a launch under way; a fork server that does not answer is killed then."""
RECOVERY_MARGIN_S = 60.0
"""Before the groups start: opening and migrating logs.db, and what a crash has left."""
END_MARGIN_S = 15.0
"""After the groups have stopped: threads, the fork server, a last try of the journal's."""


def gate_patience_s(config: Config) -> float:
    """How long the first computes wait for the slowest group."""
    return GATE_PATIENCE_S + GATE_PATIENCE_PER_SENSE_S * len(config.senses)


def longest_start_s(config: Config) -> float:
    """From the start of the process until it is ready."""
    return RECOVERY_MARGIN_S + gate_patience_s(config)


def longest_compute_s(config: Config) -> float:
    """Until the slowest sense is killed."""
    senses = config.senses.values()
    return max((s.timeout_ms + s.grace_period_ms for s in senses), default=0) / MS_PER_S


def longest_stop_s(config: Config) -> float:
    """From the request to stop until the process has ended."""
    workers_s = longest_compute_s(config) + STOP_MARGIN_S + KILL_TIMEOUT_S
    return workers_s + 2 * DRAIN_TIMEOUT_S + 2 * LAUNCHES_PATIENCE_S + END_MARGIN_S
