"""What the running nerve says of single senses, for commands that read the files as well.

Commands. One that does not run, or does not answer, is no error here: the files tell what they
have.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import tzinfo

from nerve.cli.remote import NotRunning, Refused, connect
from nerve.cli.status.picture import pages_of
from nerve.cli.wording import counted, local_time, span, visible
from nerve.config.whereabouts import Located
from nerve.errors import StateForbidden
from nerve.wire.status import GroupStatus, SenseStatus, StatusReply

_HELD = {
    "throttled": "its throttle",
    "debounced": "its debounce",
    "resting": "it rests after its worker had died over it",
    "quarantined": "it is in quarantine",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What it says of a sense and its group."""

    nerve: StatusReply
    sense: SenseStatus
    group: GroupStatus


def pages(located: Located, targets: Collection[str] = ()) -> list[StatusReply]:
    """Return the pages about these senses and groups; none where no nerve can be asked.

    None either where one of them is in nerve.yaml and the running nerve does not have it.
    """
    try:
        with connect(located) as remote:
            return pages_of(remote, targets)
    except (NotRunning, Refused, StateForbidden):
        return []


def told_of(located: Located, name: str) -> Told | None:
    """Return what the running nerve says of a sense; None where none does."""
    for page in pages(located, [name]):
        for sense in page.senses:
            for group in page.groups:
                if sense.name == name and group.name == sense.group:
                    return Told(page, sense, group)
    return None


def next_ticks(located: Located) -> dict[str, int]:
    """Return when each sense ticks next, UTC microseconds, as the running nerve says."""
    senses = (sense for page in pages(located) for sense in page.senses)
    return {sense.name: sense.next_us for sense in senses if sense.next_us is not None}


def doing(told: Told) -> str:
    """Say what a sense does at this moment; empty where it neither runs nor waits for its turn."""
    sense, group, now_us = told.sense, told.group, told.nerve.now_us
    if sense.phase == "running" and sense.started_us is not None:
        where = f", in process {group.pid}" if group.pid is not None else ""
        return f"it has been running for {span(now_us - sense.started_us)}{where}"
    if sense.phase == "waiting" and sense.waiting_since_us is not None:
        ahead = f", after {counted(sense.ahead, 'other')}" if sense.ahead else ""
        behind = f" behind {group.running}" if group.running else ""
        waited = span(now_us - sense.waiting_since_us)
        return f"it has waited {waited} for its turn in {group.name}{behind}{ahead}"
    return ""


def holding(told: Told, zone: tzinfo) -> Iterator[str]:
    """Say what keeps a sense from being started, as far as no file has it."""
    sense, group, nerve = told.sense, told.group, told.nerve
    if sense.held_until_us is not None and sense.held_by != "quarantined":
        why = _HELD.get(sense.held_by, visible(sense.held_by))
        left = span(sense.held_until_us - nerve.now_us)
        yield f"deferred until {local_time(sense.held_until_us, zone)} ({left} more): {why}"
    if nerve.trouble:
        yield f"nothing is started, as nothing can be recorded: {visible(nerve.trouble)}"
    if not nerve.is_ready:
        yield "nerve is starting: nothing runs before each group has loaded its senses"
    if group.state == "fatal":
        yield f"its group {group.name} was given up; `nerve restart {group.name}` starts it again"
    elif group.starts_at_us is not None:
        left = span(group.starts_at_us - nerve.now_us)
        died = f"its worker died {counted(group.deaths, 'time')}"
        yield f"its group {group.name} is in backoff: {died}, next start in {left}"
    elif group.state in {"starting", "stopping"}:
        yield f"the worker of its group {group.name} is {group.state}"
