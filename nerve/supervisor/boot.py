"""How long a worker may take until it is ready.

Parent; pure. It loads and migrates one sense after the other, and each has its own time for
that, so the time of a large group is not the time of its slowest sense. In the worker
these times are soft limits, which end the sense alone; the parent waits BOOT_GRACE_S
longer and then ends the worker, which is what a hang in C code needs.
"""

from nerve.clock import MS_PER_S
from nerve.process.slate import Line, Phase
from nerve.wire.messages import WorkerSpec

BOOT_TIMEOUT_S = 30.0
"""For whatever is not loading or migrating: the first imports, the first words."""
BOOT_GRACE_S = 5.0


def time_left_s(line: Line | None, spec: WorkerSpec, *, began: float, now: float) -> float:
    """Seconds that the worker has left for what it does; 0 or less when they are over.

    Args:
        line: the last line of its slate; None where that cannot be read.
        began: when the worker was started; both times on the monotonic clock.
    """
    since = max(line.since, began) if line else began
    return since + _allowance_s(line, spec) - now


def _allowance_s(line: Line | None, spec: WorkerSpec) -> float:
    if line is not None and line.phase is Phase.LOADING:
        return spec.load_timeout_ms / MS_PER_S + BOOT_GRACE_S
    if line is not None and line.phase is Phase.MIGRATING:
        return spec.migrate_timeout_ms / MS_PER_S + BOOT_GRACE_S
    return BOOT_TIMEOUT_S
