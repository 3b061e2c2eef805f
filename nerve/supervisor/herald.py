"""What the service manager hears of nerve: that it is ready, how it is, that it lives.

Parent, on the loop. One timer beats for all of it, and only where somebody listens
(`nerve.process.notify`):

    READY=1        the gate has opened: all groups have reported, or were waited for long enough
    STATUS=        a sentence, where another one has become true since the last beat
    WATCHDOG=1     at each beat, from the loop itself, while the journal's thread comes to ends
    RELOADING=1    while another configuration is taken up, and READY=1 when that is over
    STOPPING=1     and EXTEND_TIMEOUT_USEC at each beat, for as long as a stop may take

So a loop that stands still tells nothing, and neither does one whose journal's thread has been at
one job for STUCK_AFTER_S: nothing is recorded any more then, and nothing answered. A disk that is
full, read-only or broken is no such thing: the thread is refused, which is an end, and tries
again. nerve keeps what it has and goes on by itself, and being restarted would help nobody.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from nerve.clock import US_PER_S, Clock
from nerve.process.notify import Notifier
from nerve.supervisor.states import WorkerState

BEAT_S = 5.0
"""From one beat to the next. A watchdog that is to hear more often gets two in its time."""
MIN_BEAT_S = 0.05
"""A watchdog that wants more than that is not to be had: it would be all that nerve does."""
STUCK_AFTER_S = 60.0
"""One job of the journal's thread; a commit that waits for a lock is refused after five."""
EXTENSION_S = 20.0
"""By so much each beat puts off the end of the manager's patience with a stop."""
MAX_NAMED = 3
"""Groups, or senses, that a status names; the others are counted."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How nerve is, for one sentence.

    Attributes:
        groups: the states of their workers, by name.
        trouble: why the journal cannot be written; empty where it can.
        ailing: senses that need somebody: in quarantine, or not available.
    """

    senses: int
    groups: dict[str, WorkerState]
    trouble: str = ""
    ailing: Collection[str] = ()

    def __str__(self) -> str:
        """Say it, the worst first."""
        fatal = [name for name, state in self.groups.items() if state is WorkerState.FATAL]
        size = f"{_counted(self.senses, 'sense')} in {_counted(len(self.groups), 'group')}"
        parts = [f"nothing can be recorded: {self.trouble}"] if self.trouble else []
        parts += [f"given up: {_counted(len(fatal), 'group')} ({_named(fatal)})"] if fatal else []
        if self.ailing:
            needs = "needs" if len(self.ailing) == 1 else "need"
            who = f"{_counted(len(self.ailing), 'sense')} {needs} attention"
            parts.append(f"{who} ({_named(sorted(self.ailing))})")
        return "; ".join([*parts, size])


class Herald:
    """Tells the service manager."""

    def __init__(
        self,
        *,
        clock: Clock,
        condition: Callable[[], Condition],
        recording_since: Callable[[], float | None],
    ) -> None:
        """Tell nothing before `begin`.

        `recording_since` is since when the journal's thread is at its present job, on the
        monotonic clock; None while it is at none.
        """
        self._notifier = Notifier()
        self._beat_s = BEAT_S
        self._clock = clock
        self._condition = condition
        self._recording_since = recording_since
        self._status = ""
        self._is_ready = False
        self._stops_until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, notifier: Notifier) -> None:
        """Tell this one, and beat from now on, twice at least in the time of its watchdog."""
        self._notifier = notifier
        wanted_s = (notifier.watchdog_s or 2 * BEAT_S) / 2
        self._beat_s = max(MIN_BEAT_S, min(wanted_s, BEAT_S))
        if notifier.is_heard:
            self._beat()

    def ready(self) -> None:
        """Say that nerve runs."""
        self._is_ready = True
        self._notifier.tell(READY="1", **self._status_word())

    def reload(self, is_under_way: bool) -> None:
        """Say that another configuration is taken up, and when that is over, however it ended."""
        if self._stops_until is not None:
            return
        if not is_under_way:
            self._notifier.tell(READY="1", **self._status_word())
            return
        # systemd tells by the time which of several reloads has come to its end.
        began_us = int(self._clock.monotonic() * US_PER_S)
        self._notifier.tell(RELOADING="1", MONOTONIC_USEC=str(began_us))

    def stopping(self, within_s: float) -> None:
        """Say that nerve stops; for `within_s` seconds it asks for patience."""
        self._stops_until = self._clock.monotonic() + within_s
        self._notifier.tell(STOPPING="1", **self._patience(), **self._status_word())

    def end(self) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._notifier.close()

    def _beat(self) -> None:
        alive = {"WATCHDOG": "1"} if self._is_sound() else {}
        words = {**alive, **self._patience(), **self._status_word()}
        if words:
            self._notifier.tell(**words)
        self._timer = asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def _is_sound(self) -> bool:
        return self._stuck_s() < STUCK_AFTER_S

    def _stuck_s(self) -> float:
        since = self._recording_since()
        return 0.0 if since is None else self._clock.monotonic() - since

    def _patience(self) -> dict[str, str]:
        if self._stops_until is None or self._clock.monotonic() > self._stops_until:
            return {}
        return {"EXTEND_TIMEOUT_USEC": str(int(EXTENSION_S * US_PER_S))}

    def _status_word(self) -> dict[str, str]:
        status = self._sentence()
        if status == self._status:
            return {}
        self._status = status
        return {"STATUS": status}

    def _sentence(self) -> str:
        if not self._is_sound():
            return f"stuck: the journal's thread has been at one job for over {STUCK_AFTER_S:.0f} s"
        if self._stops_until is not None:
            return "stopping: running computes come to their end"
        return str(self._condition()) if self._is_ready else "starting"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _named(names: Collection[str]) -> str:
    more = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    return ", ".join([*list(names)[:MAX_NAMED], *more])
