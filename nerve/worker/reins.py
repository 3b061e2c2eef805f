"""What makes a worker readable and mortal from outside, and lastly by itself.

Worker. The slate says what it does, the stacks can be read while it hangs, and the third
ring of time ends it if the parent does not: a compute that is LAST_RESORT_S over its hard deadline
is ended by the kernel, though the parent be stuck or stopped. (A parent that is *gone* is
the fork server's business, which then ends all workers at once.)
"""

from pathlib import Path
from typing import Final

from nerve.clock import MS_PER_S
from nerve.config.models import SenseConfig
from nerve.process.kernel import KillTimer
from nerve.process.slate import Phase, Slate
from nerve.process.stack import be_readable, park_a_thread
from nerve.wire.messages import ComputeMessage, WorkerSpec

LAST_RESORT_S: Final = 5.0
"""Beyond the hard deadline, so that a parent that is only late can still read the stack."""


class Reins:
    """Held by this process over itself."""

    def __init__(self) -> None:
        """Make what needs no specification; raises OSError."""
        self._slate: Slate | None = None
        self._timer = KillTimer()
        park_a_thread()

    def take_up(self, spec: WorkerSpec) -> None:
        """Be readable from now on; raises OSError. A worker that nobody supervises has no slate."""
        if spec.slate:
            path = Path(spec.slate)
            self._slate = Slate(path, generation=spec.generation, boot=spec.boot)
            be_readable(path)

    def write(self, phase: Phase, sense: str = "", trigger_id: int = 0) -> None:
        """Say what is being done from now on."""
        if self._slate is not None:
            self._slate.write(phase, sense, trigger_id)

    def begin(self, config: SenseConfig, message: ComputeMessage) -> None:
        """From now on the sense of `message` has to answer for whatever happens."""
        self.write(Phase.COMPUTING, message.sense, message.trigger_id)
        self._timer.arm((config.timeout_ms + config.grace_period_ms) / MS_PER_S + LAST_RESORT_S)

    def end(self, sense: str) -> None:
        """The compute is over and told."""
        self._timer.call_off()
        self.write(Phase.IDLE, sense)
