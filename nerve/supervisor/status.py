"""Says how everything is, to whoever asks through the control socket.

Parent, on the loop, in one turn: nothing is waited for, no file is read, and a reply has MAX_PAGE
senses and groups at most, so that no tick is late because somebody looks. Numbers are those of this
moment; two pages are of two moments. What is durable is in logs.db, where commands read it.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from nerve.clock import US_PER_S, Clock
from nerve.config import Loaded
from nerve.errors import Exit
from nerve.reflex.flow import Phase
from nerve.supervisor.answers import Answer, refused
from nerve.supervisor.group import Group
from nerve.supervisor.triggers import Triggers
from nerve.version import VERSION
from nerve.wire.control import MAX_PAGE, StatusRequest
from nerve.wire.status import GroupStatus, SenseStatus, StatusReply

MAX_WHY_CHARS = 300
"""Of why a sense is blocked; the log has all of it. A page stays far below MAX_REPLY_BYTES."""
DEBOUNCED = "debounced"


class Status:
    """Answers `status`."""

    def __init__(  # noqa: PLR0913  each is said by its name
        self,
        boot: str,
        *,
        clock: Clock,
        loaded: Loaded,
        groups: Mapping[str, Group],
        triggers: Triggers,
        is_ready: Callable[[], bool],
        trouble: Callable[[], str],
        needs_restart: Callable[[], tuple[str, ...]],
    ) -> None:
        """What changes while nerve runs is asked for anew each time.

        Args:
            loaded: the configuration of the start; of a later one `adopt` is told.
            trouble: why the journal is not written; empty where it is.
            needs_restart: what of the configuration takes effect at a restart of nerve.
        """
        self._boot = boot
        self._clock = clock
        self._groups = groups
        self._triggers = triggers
        self._is_ready = is_ready
        self._trouble = trouble
        self._needs_restart = needs_restart
        self._started_us = clock.now_us()
        self._known = _Names(loaded, self._started_us)

    def adopt(self, loaded: Loaded) -> None:
        """Nerve goes on with another configuration from this moment on."""
        self._known = _Names(loaded, self._clock.now_us())

    def handle(self, request: StatusRequest, answer: Answer) -> None:
        """Answer a request at once."""
        names = self._known
        if strangers := names.strangers(request.targets):
            message = f"no sense and no group has the name {', '.join(strangers)}"
            hint = names.hint(strangers[0])
            refused(answer, "unknown_target", message, hint=hint, exit_code=Exit.USAGE)
            return
        answer.end(self._reply(request, names, _Moment(self._clock)))

    def _reply(self, request: StatusRequest, names: "_Names", moment: "_Moment") -> StatusReply:
        groups, more_groups = _page(names.groups_of(request.targets), request.after_group)
        senses, more = _page(names.senses_of(request.targets), request.after)
        loaded = names.loaded
        return StatusReply(
            pid=os.getpid(),
            version=VERSION,
            boot=self._boot,
            started_us=self._started_us,
            loaded_us=names.loaded_us,
            now_us=moment.now_us,
            config=str(loaded.path),
            timezone=loaded.config.timezone,
            is_ready=self._is_ready(),
            trouble=self._trouble(),
            needs_restart=self._needs_restart(),
            groups=tuple(self._group(self._groups[name], moment) for name in groups),
            senses=tuple(self._senses(senses, names, moment)),
            more=more,
            more_groups=more_groups,
        )

    def _group(self, group: Group, moment: "_Moment") -> GroupStatus:
        running, starts_in_s = group.running, group.starts_in_s
        since = None if running is None else self._triggers.flow(running).timing.started
        return GroupStatus(
            name=group.name,
            state=group.state,
            pid=group.worker_pid or None,
            generation=group.generation,
            running=running,
            running_since_us=moment.wall_us(since),
            waiting=len(group.queue),
            starts_at_us=None if starts_in_s is None else moment.now_us + _us(starts_in_s),
            deaths=group.deaths.number,
        )

    def _senses(
        self, senses: Sequence[str], names: "_Names", moment: "_Moment"
    ) -> Iterable[SenseStatus]:
        upcoming = self._triggers.upcoming(set(senses))
        groups = {names.group_of[sense] for sense in senses}
        ahead = {
            sense: place
            for group in groups
            for place, sense in enumerate(self._groups[group].queue)
        }
        for sense in senses:
            yield self._sense(sense, names, moment, ahead.get(sense), upcoming.get(sense))

    def _sense(
        self,
        sense: str,
        names: "_Names",
        moment: "_Moment",
        ahead: int | None,
        next_us: int | None,
    ) -> SenseStatus:
        triggers, wall_us = self._triggers, moment.wall_us
        flow, blocked = triggers.flow(sense), triggers.blocked(sense)
        why = triggers.unavailable.get(sense) or triggers.paused.get(sense, "") if blocked else ""
        timing, held = flow.timing, flow.held(moment.now)
        bundled = triggers.bundled_until(sense)
        held_until, held_by = held or (bundled, DEBOUNCED if bundled is not None else "")
        has_run = timing.started is not None
        return SenseStatus(
            name=sense,
            group=names.group_of[sense],
            phase=flow.phase,
            blocked=blocked,
            why=names.loaded.redactor.text(why)[:MAX_WHY_CHARS] if why else "",
            ahead=ahead,
            waiting_since_us=wall_us(timing.ready) if flow.phase is Phase.WAITING else None,
            held_until_us=wall_us(held_until),
            held_by=held_by,
            next_us=next_us,
            sources=names.sources.get(sense, ()),
            started_us=wall_us(timing.started),
            late_us=_us(timing.late_s) if has_run else None,
            worst_late_us=_us(timing.worst_lately_s(moment.now)) if has_run else None,
            took_us=None if timing.took_s is None else _us(timing.took_s),
            runs=timing.runs,
            busy_us=_us(timing.busy_s),
        )


class _Moment:
    """The two clocks at one time."""

    def __init__(self, clock: Clock) -> None:
        self.now, self.now_us = clock.monotonic(), clock.now_us()

    def wall_us(self, moment: float | None) -> int | None:
        """When a moment of the monotonic clock is or was by the wall clock."""
        if moment is None:
            return None
        return max(0, self.now_us + int((moment - self.now) * US_PER_S))


class _Names:
    """The names of one configuration, sorted once: ten thousand of them take 2 ms."""

    def __init__(self, loaded: Loaded, loaded_us: int) -> None:
        self.loaded = loaded
        self.loaded_us = loaded_us
        self.senses = sorted(loaded.config.senses)
        self.group_of = {name: sense.group for name, sense in loaded.config.senses.items()}
        self.of_group: dict[str, list[str]] = {}
        for sense in self.senses:
            self.of_group.setdefault(self.group_of[sense], []).append(sense)
        self.groups = sorted(self.of_group)
        self.sources = loaded.config.sources()

    def strangers(self, targets: Collection[str]) -> list[str]:
        return [n for n in targets if n not in self.group_of and n not in self.of_group]

    def hint(self, stranger: str) -> str:
        """Say what may have been meant."""
        guess = get_close_matches(stranger, [*self.senses, *self.groups], 1)
        return f'did you mean "{guess[0]}"?' if guess else "`nerve status` shows all"

    def senses_of(self, targets: Collection[str]) -> Sequence[str]:
        if not targets:
            return self.senses
        named = {name for name in targets if name in self.group_of}
        return sorted(named.union(*(self.of_group.get(name, ()) for name in targets)))

    def groups_of(self, targets: Collection[str]) -> Sequence[str]:
        if not targets:
            return self.groups
        named = {name for name in targets if name in self.of_group}
        return sorted(named.union(self.group_of[n] for n in targets if n in self.group_of))


def _page(names: Sequence[str], after: str) -> tuple[Sequence[str], bool]:
    """Return the names behind one, no more than MAX_PAGE of them, and whether others follow."""
    first = bisect_right(names, after)
    return names[first : first + MAX_PAGE], len(names) > first + MAX_PAGE


def _us(seconds: float) -> int:
    return max(0, int(seconds * US_PER_S))
