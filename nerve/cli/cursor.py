"""`nerve cursor`: how far each reflex has got with the signals it answers, and how to move that.

`show` reads the files, whether or not nerve runs. `set` has the nerve that runs move it, and writes
itself where none does. Because the larger of the two places holds that know a position, one that is
set back is set back in both: in the target's database first, so that a kill between
the two leaves the position where it was.
"""

import re
import sqlite3
from typing import Any
from zoneinfo import ZoneInfo

import click

from nerve.cli.asking import ask, running
from nerve.cli.cursors import (
    Cursor,
    Waiting,
    before_oldest,
    cursor_of,
    cursors_of,
    time_of,
    waiting_after,
)
from nerve.cli.journal import open_journal
from nerve.cli.output import emit, emit_json, emit_table, json_option, say, say_hanging
from nerve.cli.ownership import asked_here, entry_of, owned_journal
from nerve.cli.settings import Settings, config_options, require_sense
from nerve.cli.wording import counted, local_time, visible
from nerve.clock import MS_PER_S, US_PER_S, SystemClock, rfc3339
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.config.names import closest
from nerve.errors import Exit, NerveError
from nerve.reflex.listeners import Pair, Route, routes_of
from nerve.reflex.timers import SOURCE_MARK
from nerve.store.journal import Journal
from nerve.store.positions import put_back
from nerve.store.state_dir import StateDir
from nerve.wire.control import CursorRequest

NEWEST, OLDEST = "newest", "oldest"
_ID = re.compile("[0-9]{1,18}")


class NoSuchPosition(NerveError):
    """A cursor was named, or is to be put somewhere, that there is not."""

    exit_code = Exit.USAGE


@click.group()
def cursor() -> None:
    """Show how far each reflex has got, or move that."""


@cursor.command(
    short_help="How far each reflex has got, and what waits for it.",
    epilog="\b\nExample:\n  nerve cursor show                        where signals wait",
)
@json_option
@config_options
@click.pass_obj
def show(settings: Settings, as_json: bool) -> None:
    """Show the last signal of each source that each target has answered, and what waits.

    Read from the files: what nerve does at this moment counts as waiting.
    """
    loaded = settings.load()
    now_us, zone = SystemClock().now_us(), ZoneInfo(loaded.config.timezone)
    with open_journal(loaded) as reader:
        found = _facts(reader, cursors_of(loaded, reader))
    if as_json:
        for one, at_us, waiting in found:
            emit_json(_as_json(one, at_us, waiting))
        return
    rows = [
        (one.target, one.source, _number(one), _time(at_us, zone), _said(one, waiting, now_us))
        for one, at_us, waiting in found
    ]
    emit_table(("target", "source", "position", "of", "waiting"), rows)
    if not rows:
        say(f"{loaded.path} has no reflex that answers signals")


@cursor.command(
    "set",
    short_help="Let a reflex go on after another signal.",
    epilog="\b\nExamples:\n"
    "  nerve cursor set pressure disk newest    leave out what waits\n"
    "  nerve cursor set pressure disk oldest    answer all that is stored once more\n"
    "  nerve cursor set pressure disk 4711      go on after signal 4711",
)
@click.argument("target")
@click.argument("source")
@click.argument("position", metavar="ID|newest|oldest")
@json_option
@config_options
@click.pass_obj
def set_(settings: Settings, target: str, source: str, position: str, as_json: bool) -> Exit:
    """Let TARGET go on after signal ID of SOURCE.

    Where nerve runs, what the target computes just then comes to its end first, and what waits
    after ID is offered to it at once.
    """
    loaded = settings.load()
    route = _route(loaded, target, source)
    if position not in (NEWEST, OLDEST) and not _ID.fullmatch(position):
        raise NoSuchPosition(f"{position!r} is neither an id nor {NEWEST} nor {OLDEST}")
    with open_journal(loaded):
        pass  # where nothing has run, nothing is made by asking
    if (remote := running(loaded)) is not None:
        with remote:
            before, new, waiting = _looked_up(loaded, (target, source), position)
            # Also where it stands there already: what is in hand may be beyond it.
            reply = ask(remote, CursorRequest(target=target, source=source, position=new))
        if not reply.is_good:
            say_hanging("", visible(reply.message))
        then, code = "now", Exit.OK if reply.is_good else Exit.FOUND
    else:
        with owned_journal(loaded) as journal:
            before, new, waiting = _looked_up(loaded, (target, source), position)
            if new != before.position:
                _move(loaded, journal, before, new, waiting)
        then, code = "at the next start", Exit.OK
    if as_json:
        moved = {"target": target, "source": source, "old": before.position, "new": new}
        emit_json({**moved, "waiting": waiting.number})
    else:
        _tell(route, before, new, waiting, then)
    return code


def _looked_up(loaded: Loaded, pair: Pair, position: str) -> tuple[Cursor, int, Waiting]:
    """Find where a cursor stands and is to stand, and what waits after that."""
    with open_journal(loaded) as reader:
        before = cursor_of(loaded, reader, pair)
        new = _wanted(reader, before, position)
        return before, new, waiting_after(reader, [(pair[1], new)])[pair[1], new]


def _facts(
    reader: sqlite3.Connection, cursors: list[Cursor]
) -> list[tuple[Cursor, int | None, Waiting | None]]:
    """Find the time of each position, and what waits after it where anybody answers that."""
    answered = {
        one: (one.source, one.position)
        for one in cursors
        if one.position is not None and one.is_declared and not one.is_timer
    }
    waiting = waiting_after(reader, answered.values())
    return [
        (one, _time_at(reader, one), waiting[answered[one]] if one in answered else None)
        for one in cursors
    ]


def _time_at(reader: sqlite3.Connection, one: Cursor) -> int | None:
    if one.position is None or one.is_timer:
        return one.position
    return time_of(reader, one.position)


def _as_json(one: Cursor, at_us: int | None, waiting: Waiting | None) -> dict[str, object]:
    since_us = waiting.since_us if waiting else None
    return {
        "target": one.target,
        "source": one.source,
        "declared": one.is_declared,
        "timer": one.is_timer,
        "position": None if one.is_timer else one.position,
        "at": None if at_us is None else rfc3339(at_us),
        "journal": one.journal,
        "database": one.database,
        "waiting": waiting.number if waiting else None,
        "waiting_since": None if since_us is None else rfc3339(since_us),
    }


def _number(one: Cursor) -> str:
    return "-" if one.is_timer or one.position is None else str(one.position)


def _time(at_us: int | None, zone: ZoneInfo) -> str:
    return "-" if at_us is None else local_time(at_us, zone)


def _said(one: Cursor, waiting: Waiting | None, now_us: int) -> str:
    if not one.is_declared:
        return "no reflex has it any more"
    if one.position is None:
        return f"begins with the next {'tick' if one.is_timer else 'signal'}"
    if waiting is None:
        return "a timer, its last tick"
    if waiting.since_us is None:
        return "nothing"
    age_s = max(0, now_us - waiting.since_us) // US_PER_S
    return f"{waiting.number:,}, the oldest for {format_duration(age_s * MS_PER_S)}"


def _route(loaded: Loaded, target: str, source: str) -> Route:
    """Find the way from source to target; raises NerveError where no reflex declares it."""
    require_sense(loaded, target)
    routes = {route.source: route for route in routes_of(loaded.config) if route.target == target}
    if source in routes:
        return routes[source]
    if source.startswith(SOURCE_MARK):
        hint = "only how far it has got with signals can be set"
        raise NoSuchPosition("the position of a timer is the time of its last tick", hint=hint)
    guess = closest(source, routes)
    known = f"it answers: {', '.join(routes)}" if routes else "it answers no signals"
    hint = f'did you mean "{guess}"?' if guess else known
    raise NoSuchPosition(f"no reflex runs {target!r} on signals of {source!r}", hint=hint)


def _wanted(reader: sqlite3.Connection, before: Cursor, position: str) -> int:
    if position == NEWEST:
        return before.newest
    if position == OLDEST:
        oldest = before_oldest(reader, before.source)
        return before.newest if oldest is None else oldest
    if int(position) > before.newest:
        hint = f"`nerve signals --sense {before.source}` lists some"
        message = f"there is no signal {position} yet; the newest entry is {before.newest}"
        raise NoSuchPosition(message, hint=hint)
    return int(position)


def _move(loaded: Loaded, journal: Journal, before: Cursor, new: int, waiting: Waiting) -> None:
    if before.database is not None and before.database > new:
        put_back(StateDir(loaded.state_dir).sense_db(before.target), before.source, new)
    was = "its beginning" if before.position is None else before.position
    message = f"goes on after {new} of {before.source}, was {was}, by `nerve cursor set`"
    payload: dict[str, Any] = {
        "message": message,
        "source": before.source,
        "old": before.position,
        "new": new,
        "waiting": waiting.number,
    }
    payload["by"] = asked_here("nerve cursor set")
    entry = entry_of(loaded, before.target, "cursor.set", "info", payload)
    journal.place_cursor((before.target, before.source), new, entry)


def _tell(route: Route, before: Cursor, new: int, waiting: Waiting, then: str) -> None:
    pair = f"{before.target} goes on after {new} of {before.source}"
    if new == before.position:
        emit(f"{pair}, as before")
    elif before.position is None:
        emit(pair)
    else:
        emit(f"{pair}; it was {before.position}")
    signals = f"{counted(waiting.number, 'signal')} of {before.source}"
    if not waiting.number:
        say(f"no signal of {before.source} waits for {before.target}")
    elif route.missed == "skip":
        say(f"{signals} will be skipped {then}, for its reflex says missed: skip")
    else:
        keys = {"where": route.where is not None, "catchup": route.catchup_us is not None}
        asked = " and ".join(key for key, is_given in keys.items() if is_given)
        unless = f", as far as its reflex allows by {asked}" if asked else ""
        say(f"{signals} will be offered to {before.target} {then}{unless}")
