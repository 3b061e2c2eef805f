"""`nerve signals` and `nerve logs`: what was told, and all that happened.

Without a start they show the newest entries; from a start (an id or a time) they
read forward. Archived days are among them. Either way the newest stands last, the number is
limited, and the command line of the next page is said on stderr. With `--follow` they go on with
what comes, until Ctrl-C.
"""

import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from nerve.cli.entries import Damaged, Entry
from nerve.cli.frames import News
from nerve.cli.moments import parse_moment
from nerve.cli.numbers import number_option
from nerve.cli.output import (
    emit,
    emit_hanging,
    emit_json,
    is_terminal,
    json_option,
    say,
    say_hanging,
    terminal_width,
)
from nerve.cli.selection import LEVELS, Selection
from nerve.cli.settings import Settings, config_options
from nerve.cli.terminal import is_of_nerve, source_cells
from nerve.cli.timeline import MAX_ID, Page, Timeline, open_timeline
from nerve.cli.wakeups import Wakeups
from nerve.cli.wording import hanging, local_time, local_times, padded, sentence, visible
from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.config.names import closest
from nerve.errors import Exit, StateError

PARENT = "nerve"
"""What log rows of the parent itself have for a source."""
_HELP_INDENT_CELLS = 8
"""Of a hint and of frames: below the entry, and with room for long lines."""
DEFAULT_LIMIT = 100
MAX_LIMIT = 100_000

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_COLOURS = {"error": "red", "warning": "yellow"}
_Show = Callable[[Entry], None]


def _paging(command: _Decorated) -> _Decorated:
    options = (
        click.option("--since", metavar="TIME", help="From 10m or 1h ago, or a date and time, on."),
        click.option("--until", metavar="TIME", help="Up to then, that moment left out."),
        click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C."),
        number_option(
            "--since-id",
            0,
            MAX_ID,
            help="From after this id on.",
        ),
        number_option(
            "--before-id",
            1,
            MAX_ID,
            help="The last before this id.",
        ),
        number_option(
            "--limit",
            1,
            MAX_LIMIT,
            default=DEFAULT_LIMIT,
            show_default=True,
            help="At most so many.",
        ),
        json_option,
        config_options,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve signals                            the newest\n"
    "  nerve signals -f --sense disk            those of one sense, live\n"
    "  nerve signals --since-id 412 --json      what came after one you have"
)
@click.option("--sense", "source", metavar="NAME", help="Only this sense's.")
@_paging
@click.pass_context
def signals(context: click.Context, /, source: str | None, **paging: Any) -> Exit:
    """Show signals, or follow them."""
    loaded = context.obj.load()
    show = _shower(loaded, as_json=paging["as_json"], show_type=False)
    selection = Selection(signals_only=True, source=source or None, **_times(loaded, paging))
    return _run(context, loaded, selection, show, paging)


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve logs --level warning --since 1h    what went wrong in the last hour\n"
    "  nerve logs -f --sense disk               one sense, live, with its signals\n"
    "  nerve logs --type worker.died --json     every death of a worker"
)
@click.option(
    "--sense", "--source", "source", metavar="NAME", help="Only this sense, group, or part."
)
@click.option("--type", metavar="TYPE", help="Only this type, e.g. compute.error or signal.")
@click.option("--level", type=click.Choice(LEVELS), help="This level and above.")
@click.option("--ref", metavar="REF", help="Only what refers to this, e.g. trigger:3f2a91c0/17.")
@_paging
@click.pass_context
def logs(context: click.Context, /, **options: Any) -> Exit:
    """Show what happened, signals included, or follow it."""
    loaded = context.obj.load()
    filters: dict[str, Any] = {
        key: options.pop(key) or None for key in ("source", "type", "level", "ref")
    }
    selection = Selection(**filters, **_times(loaded, options))
    show = _shower(loaded, as_json=options["as_json"], show_type=True)
    return _run(context, loaded, selection, show, options)


def _run(
    context: click.Context,
    loaded: Loaded,
    selection: Selection,
    show: _Show,
    paging: dict[str, Any],
) -> Exit:
    if paging["before_id"] and (paging["follow"] or paging["since_id"] is not None):
        raise click.UsageError("--before-id goes neither with --follow nor with --since-id")
    if paging["until"] and paging["follow"]:
        raise click.UsageError("--until does not go with --follow, which has no end")
    stranger = _stranger(loaded, selection)
    if paging["follow"]:
        if stranger:  # else somebody waits for ever
            say_hanging("warning: ", stranger, "yellow")
        return _follow(loaded, selection, show, paging)
    with open_timeline(loaded, _say_fault) as timeline:
        page, hint = _page(timeline, selection, paging)
    _show_all(page.entries, show)
    if page.more and page.entries:
        say(f"more: {again(context, **hint)}")
    elif not page.entries:
        say(f"nothing found: {stranger}" if stranger else "nothing found")
    return Exit.OK


def _page(
    timeline: Timeline, selection: Selection, paging: dict[str, Any]
) -> tuple[Page, dict[str, Any]]:
    """Read one page; return it with what changes on the command line for the next."""
    limit, since_id, before_id = paging["limit"], paging["since_id"], paging["before_id"]
    forward = since_id is not None or (selection.since_us is not None and before_id is None)
    if forward:
        page = timeline.oldest(selection, limit, after=since_id or 0)
        return page, {"since_id": page.entries[-1].id if page.entries else 0}
    page = timeline.newest(selection, limit, until=(before_id or MAX_ID) - 1)
    return page, {"before_id": page.entries[0].id if page.entries else 0}


def _follow(loaded: Loaded, selection: Selection, show: _Show, paging: dict[str, Any]) -> Exit:
    after = paging["since_id"]
    if after is None and selection.since_us is not None:
        after = 0
    is_another = False
    # Told of news before anything is read: what comes while it is read wakes us afterwards.
    with suppress(KeyboardInterrupt), Wakeups(loaded) as wakeups:
        while True:  # once for each file that stands at the journal's path
            with open_timeline(loaded, _say_fault) as timeline:
                if after is None:
                    after = timeline.newest_id()
                    page = timeline.newest(selection, paging["limit"], until=after)
                    _show_all(page.entries, show)
                elif is_another and timeline.newest_id() < after:
                    after = 0  # not the same one put back: the log has begun anew
                for entry in timeline.follow(selection, after, wakeups.pause):
                    _show_all([entry], show)
                    after = entry.id
                is_another = True
    return Exit.OK


def again(context: click.Context, **changed: Any) -> str:
    """Return this command line with some options changed, to be typed as it is."""
    settings: Settings = context.obj
    words = ["nerve", *settings.words(), str(context.info_name)]
    values = {**context.params, **changed}
    for parameter in context.command.params:
        value = values.get(str(parameter.name))
        if value is None or value is False or value == parameter.default:
            continue
        option = max(parameter.opts, key=len)
        words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def _show_all(entries: Iterable[Entry | Damaged], show: _Show) -> None:
    for entry in entries:
        if isinstance(entry, Damaged):
            say(f"entry {entry.id} is damaged; it was skipped")
        else:
            show(entry)


def _shower(loaded: Loaded, *, as_json: bool, show_type: bool) -> _Show:
    if as_json:
        as_object = Entry.as_log if show_type else Entry.as_signal
        return lambda entry: emit_json(as_object(entry))
    zone = ZoneInfo(loaded.config.timezone)
    width, news = source_cells(loaded), News()
    return lambda entry: _show_line(entry, zone, width, news, show_type=show_type)


def _show_line(entry: Entry, zone: ZoneInfo, width: int, news: News, *, show_type: bool) -> None:
    text = sentence(entry.payload)
    if is_of_nerve(entry.type):
        text = local_times(text, zone)
    if show_type and entry.type != "signal":
        text = f"{visible(entry.type)}: {text}" if text else visible(entry.type)
    level = f"{entry.level}: " if entry.level in _COLOURS else ""
    source = padded(visible(entry.source), width)
    head = f"{entry.id:>6}  {local_time(entry.at_us, zone)}  {source}  {level}"
    for line in hanging(head, text, terminal_width(), partial(_coloured, entry.level)):
        emit(line)
    if is_terminal() and entry.level in _COLOURS:
        hint, frames = news.of(entry.source, entry.type, entry.payload)
        indent = " " * _HELP_INDENT_CELLS
        if hint:
            emit_hanging(f"{indent}hint: ", hint)
        for frame in frames:
            emit_hanging(indent, frame)


def _coloured(level: str, text: str) -> str:
    return click.style(text, fg=_COLOURS[level]) if level in _COLOURS else text


def _times(loaded: Loaded, paging: dict[str, Any]) -> dict[str, Any]:
    """Return what `--since` and `--until` say to a selection; raises click.BadParameter."""
    now_us, zone = SystemClock().now_us(), ZoneInfo(loaded.config.timezone)

    def moment(option: str) -> int | None:
        text = paging[option]
        try:
            return parse_moment(text, now_us=now_us, zone=zone) if text else None
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{option}") from error

    return {"since_us": moment("since"), "until_us": moment("until")}


def _say_fault(error: StateError) -> None:
    hint = f"; {error.hint}" if error.hint else ""
    say_hanging("warning: ", visible(str(error) + hint), "yellow")


def _stranger(loaded: Loaded, selection: Selection) -> str:
    """Say that nothing bears the name that was asked for; empty where something does."""
    name, senses = selection.source, loaded.config.senses
    parts = {PARENT, *(sense.group for sense in senses.values())}
    if name is None or name in senses or (name in parts and not selection.signals_only):
        return ""
    guess = closest(name, senses)
    meant = f'; did you mean "{guess}"?' if guess else ""
    return f"{loaded.path.name} has no sense {name!r}{meant}"
