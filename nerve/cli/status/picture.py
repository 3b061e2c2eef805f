"""All that is known of an installation at one moment. Commands; read-only.

A nerve that runs is asked first: it names the senses, their groups and what they listen to. Where
none runs, nerve.yaml does.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from nerve.cli.remote import NotRunning, Remote, connect
from nerve.cli.settings import Settings
from nerve.cli.status.recorded import Recorded, recorded
from nerve.clock import US_PER_S, SystemClock
from nerve.config.whereabouts import Located
from nerve.errors import Exit, NerveError, StateError
from nerve.store.state_dir import StateDir
from nerve.wire.control import StatusRequest
from nerve.wire.status import GroupStatus, SenseStatus, StatusReply

if TYPE_CHECKING:
    from nerve.config import Config

OFF = "off"
"""Phase of a sense, and state of a group, while no nerve runs."""
MTIME_SLACK_US = US_PER_S
"""File systems write the time of a change as it was some milliseconds ago."""


class NoSuchTarget(NerveError):
    """A command was asked about something that is neither a sense nor a group."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known.

    Attributes:
        now_us: when, UTC microseconds.
        zone: in which times are shown.
        nerve: what the running nerve says of itself; None where none runs.
        absence: why none could be asked; None while one answers.
        holder: process id of one that holds the state directory and does not answer.
        groups, senses: by name; of a nerve that does not run they say who they are and no more.
        files: what is recorded.
        fault: why that cannot be read; empty where it can.
        is_changed: nerve.yaml was changed after the running nerve had read it.
    """

    now_us: int
    zone: tzinfo
    nerve: StatusReply | None
    absence: NotRunning | None
    groups: Sequence[GroupStatus]
    senses: Sequence[SenseStatus]
    files: Recorded = field(default_factory=Recorded)
    fault: str = ""
    is_changed: bool = False
    holder: int | None = None


def look(settings: Settings, located: Located, targets: Collection[str]) -> Picture:
    """Find out how everything is, or these senses and groups.

    Raises ConfigFaults where no nerve runs and nerve.yaml is at fault, NoSuchTarget, StateError.
    """
    try:
        with connect(located) as remote:
            pages = pages_of(remote, targets)
    except NotRunning as absence:
        return _without_nerve(settings, targets, absence)
    nerve = pages[0]
    senses = [sense for page in pages for sense in page.senses]
    return Picture(
        nerve.now_us,
        ZoneInfo(nerve.timezone),
        nerve,
        None,
        [group for page in pages for group in page.groups],
        senses,
        *_recorded(located, senses),
        _is_changed(located, nerve),
    )


def pages_of(remote: Remote, targets: Collection[str]) -> list[StatusReply]:
    """Ask until all has been told; what a reload takes away meanwhile ends it."""
    pages: list[StatusReply] = []
    after = after_group = ""
    while not pages or pages[-1].more or pages[-1].more_groups:
        request = StatusRequest(targets=tuple(targets), after=after, after_group=after_group)
        page = cast("StatusReply", remote.ask(request))
        pages.append(page)
        # Of what is all told no name comes behind the last.
        after = page.senses[-1].name if page.senses else after
        after_group = page.groups[-1].name if page.groups else after_group
    return pages


def _recorded(located: Located, senses: Sequence[SenseStatus]) -> tuple[Recorded, str]:
    """Return what is recorded, or why it cannot be read: what the nerve says is worth as much."""
    pairs = [(sense.name, source) for sense in senses for source in sense.sources]
    try:
        return recorded(located, pairs), ""
    except StateError as error:
        return Recorded(), str(error)


def _is_changed(located: Located, nerve: StatusReply) -> bool:
    try:
        changed_us = located.path.stat().st_mtime_ns // 1_000
    except OSError:  # it is gone, or out of reach: the next command that needs it says so
        return False
    return str(located.path) == nerve.config and changed_us > nerve.loaded_us + MTIME_SLACK_US


def _without_nerve(settings: Settings, targets: Collection[str], absence: NotRunning) -> Picture:
    from nerve.config.names import closest

    loaded = settings.load()
    senses = _configured(loaded.config)
    groups = sorted({sense.group for sense in senses})
    known = {*groups, *(sense.name for sense in senses)}
    if strangers := [name for name in targets if name not in known]:
        guess = closest(strangers[0], known)
        hint = f'did you mean "{guess}"?' if guess else "`nerve list senses` shows the senses"
        message = f"no sense and no group has the name {', '.join(strangers)}"
        raise NoSuchTarget(message, hint=hint)
    if targets:
        senses = [sense for sense in senses if {sense.name, sense.group}.intersection(targets)]
        groups = sorted({sense.group for sense in senses})
    return Picture(
        SystemClock().now_us(),
        ZoneInfo(loaded.config.timezone),
        None,
        absence,
        [GroupStatus(name=name, state=OFF, pid=None, generation=0) for name in groups],
        senses,
        *_recorded(loaded, senses),
        holder=StateDir(loaded.state_dir).holder(),
    )


def _configured(config: "Config") -> list[SenseStatus]:
    sources = config.sources()
    return [
        SenseStatus(name=name, group=sense.group, phase=OFF, sources=sources.get(name, ()))
        for name, sense in sorted(config.senses.items())
    ]
