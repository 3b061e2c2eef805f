"""All that is known, as lines for a person. Pure.

From the top: what nerve is, what needs a person, the groups, the senses. What does not fit is
counted, with the command that shows it; of senses those stand first that need something, and then
those that run. A colour never says anything that a word does not say too.
"""

from collections.abc import Mapping, Sequence

from nerve.cli.sheet import GAP, MAX_NAME_CELLS, Cell, Sheet, styled, table
from nerve.cli.status.needs import Need, moment
from nerve.cli.status.picture import Picture
from nerve.cli.status.rows import NOTHING, group_now, last_of, late, sense_now, took
from nerve.cli.wording import MIN_TEXT_CELLS, cells, counted, cut, padded, span, visible, wrapped
from nerve.wire.status import GroupStatus, SenseStatus

PARTS = 3
"""Of a screen: what needs a person has one, groups half of one, senses what is left."""
SHOW_ALL = "nerve status --all"
MAX_TEXT_LINES = 3
"""Of what one thing needs: enough for most messages on 80 columns."""
_SENSES_AROUND = 3
"""Lines around the rows of senses: an empty one, the columns' names, how many are left out."""
_STATES = {"fatal": "error", "backoff": "error", "starting": "warning", "stopping": "warning"}


def screen(picture: Picture, needs: Sequence[Need], sheet: Sheet) -> list[str]:
    """Lay a picture out, and what needs a person in it."""
    lines = [*_head(picture, needs, sheet), *_needs(needs, sheet), *_groups(picture, sheet)]
    lines += _senses(picture, needs, sheet.room(len(lines) + _SENSES_AROUND), sheet)
    return sheet.fitted(lines, SHOW_ALL)


def _head(picture: Picture, needs: Sequence[Need], sheet: Sheet) -> list[str]:
    told, style = _verdict(picture, needs)
    of = f"{counted(len(picture.groups), 'group')}, {counted(len(picture.senses), 'sense')}"
    nerve = picture.nerve
    if nerve is None:
        told = f"{of}, times in {picture.zone}"
        return [styled([*_absent(picture)], sheet), *_wordless(picture, sheet), told]
    up = span(picture.now_us - nerve.started_us)
    head = f"nerve {visible(nerve.version)}, process {nerve.pid}, up {up}: "
    started = f"{moment(nerve.started_us, picture)} {picture.zone}"
    since = f"since {started}, {of}, {visible(nerve.config)}"
    return [styled([Cell(head, "bold"), Cell(told, style)], sheet), cut(since, sheet.width)]


def _verdict(picture: Picture, needs: Sequence[Need]) -> tuple[str, str]:
    if needs:
        verb = "needs" if len(needs) == 1 else "need"
        return f"{counted(len(needs), 'thing')} {verb} you", needs[0].level
    if picture.nerve is not None and not picture.nerve.is_ready:
        return "starting", "warning"
    return "all is well", "good"


def _absent(picture: Picture) -> tuple[Cell, Cell]:
    if picture.holder is None:
        return Cell("nerve does not run: ", "error"), Cell(_ended(picture))
    return Cell("nerve does not answer: ", "error"), Cell(f"process {picture.holder}")


def _ended(picture: Picture) -> str:
    boot = picture.files.boot
    if picture.fault:
        return "what it did last is not known"
    if boot is None:
        return "nothing has run here yet"
    if boot.ended == "stopped" and boot.ended_us is not None:
        ago = span(picture.now_us - boot.ended_us)
        return f"stopped at {moment(boot.ended_us, picture)}, {ago} ago"
    started = moment(boot.started_us, picture)
    return f"the one started at {started} ended without a word"


def _wordless(picture: Picture, sheet: Sheet) -> list[str]:
    """Say what may have kept the last one from noting its end."""
    boot = picture.files.boot
    if picture.holder is not None or boot is None or boot.ended is not None:
        return []
    told = "killed, its machine went down, or this directory was moved or full; see nerve doctor"
    return [cut(told, sheet.width)]


def _needs(needs: Sequence[Need], sheet: Sheet) -> list[str]:
    """Lay out what needs a person, with the command; of many each text has one line."""
    room = sheet.room((sheet.height or 0) * (PARTS - 1) // PARTS)
    shown = needs[:room]
    if not shown:
        return []
    most = None if room is None else max(1, min(MAX_TEXT_LINES, room // len(needs)))
    texts = ((need.word, need.about, need.command) for need in shown)
    widths = [max(map(cells, column)) for column in zip(*texts, strict=True)]
    widths[1] = min(widths[1], MAX_NAME_CELLS)
    lines = [""]
    for need in shown:
        about = cut(need.about, widths[1])
        row = [
            Cell(padded(text, width) + GAP, style)
            for (text, style), width in zip(
                ((need.word, need.level), (about, ""), (need.command, "bold")), widths, strict=True
            )
            if width
        ]
        indent = sum(cells(cell.text) for cell in row)
        first, *rest = _limited(need.text, sheet.width - indent, most)
        lines.append(styled([*row, Cell(first)], sheet))
        lines += [" " * indent + line for line in rest]
    if left_out := len(needs) - len(shown):
        lines.append(cut(f"and {left_out:,} more: nerve status --all", sheet.width))
    return lines


def _limited(text: str, width: int, most: int | None) -> list[str]:
    """Wrap a text into so many lines at most; where there is little room it has one."""
    if width < MIN_TEXT_CELLS or most == 1:
        return [text]
    lines = wrapped(text, width)
    if most is None or len(lines) <= most:
        return lines
    return [*lines[: most - 1], cut(" ".join(lines[most - 1 : most + 1]), width)]


def _groups(picture: Picture, sheet: Sheet) -> list[str]:
    groups = sorted(picture.groups, key=_order_of)
    shown = groups[: sheet.room((sheet.height or 0) * (2 * PARTS - 1) // (2 * PARTS))]
    if not shown or picture.nerve is None:
        return []
    rows = [
        [
            Cell(sheet.name(group.name)),
            Cell(group.state, _STATES.get(group.state, "")),
            Cell(NOTHING if group.pid is None else str(group.pid)),
            Cell(str(max(0, group.generation - 1))),
            Cell(group_now(picture, group)),
        ]
        for group in shown
    ]
    lines = ["", *table(("group", "worker", "process", "restarts", "runs now"), rows, sheet)]
    if left_out := len(groups) - len(shown):
        told = f"and {counted(left_out, 'more group')}: nerve status --all"
        lines.append(cut(told, sheet.width))
    return lines


def _order_of(group: GroupStatus) -> tuple[int, str]:
    return (0 if group.state in _STATES else 1 if group.running else 2), group.name


def _senses(picture: Picture, needs: Sequence[Need], room: int | None, sheet: Sheet) -> list[str]:
    levels = {need.about: need.level for need in reversed(needs)}
    senses = sorted(picture.senses, key=lambda sense: _rank_of(sense, levels))
    shown = senses[:room]
    groups = {group.name: group for group in picture.groups}
    runs = picture.nerve is not None
    rows = []
    for sense in shown:
        ran = picture.files.ran.get(sense.name)
        row = [
            Cell(sheet.name(sense.name)),
            Cell(sheet.name(sense.group)),
            Cell(last_of(picture, sense), "error" if ran and ran.has_failed else ""),
        ]
        row += [Cell(took(sense))] if sheet.is_wide and runs else []
        row += [Cell(late(sense))] if runs else []
        row.append(Cell(sense_now(picture, sense, groups), levels.get(sense.name, "")))
        rows.append(row)
    columns = ["sense", "group", "last outcome"]
    columns += ["took"] if sheet.is_wide and runs else []
    columns += ["late", "next"] if runs else ["held"]
    lines = ["", *table(columns, rows, sheet)] if rows else []
    if left_out := len(senses) - len(shown):
        told = f"and {counted(left_out, 'more sense')}: nerve status --all, or by name"
        lines.append(cut(told, sheet.width))
    return lines


def _rank_of(sense: SenseStatus, levels: Mapping[str, str]) -> tuple[int, str]:
    if sense.name in levels:
        return (0 if levels[sense.name] == "error" else 1), sense.name
    return {"running": 2, "waiting": 3}.get(sense.phase, 4), sense.name
