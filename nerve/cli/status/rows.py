"""What stands in a line about a group or a sense. Pure."""

from collections.abc import Mapping

from nerve.cli.status.picture import OFF, Picture
from nerve.cli.wording import counted, span, visible
from nerve.wire.status import GroupStatus, SenseStatus

NOTHING = "-"
_HELD = {
    "throttled": "its throttle",
    "debounced": "its debounce",
    "resting": "rests",
    "quarantined": "quarantine",
}


def group_now(picture: Picture, group: GroupStatus) -> str:
    """Say what a group does."""
    waiting = f"{group.waiting:,} wait" if group.waiting else ""
    if group.running is not None:
        ran_us = picture.now_us - (group.running_since_us or picture.now_us)
        return ", ".join(filter(None, (f"{group.running} for {span(ran_us)}", waiting)))
    if group.starts_at_us is not None:
        return f"starts in {span(group.starts_at_us - picture.now_us)}"
    return waiting


def last_of(picture: Picture, sense: SenseStatus) -> str:
    """Say how the last compute of a sense ended, and when."""
    ran = picture.files.ran.get(sense.name)
    if ran is None:
        if picture.fault:
            return "not known"
        # The file is written once a second, and the outcome stands there.
        return "just now" if sense.runs else "never ran"
    return f"{ran.last} {span(picture.now_us - ran.last_us)} ago"


def took(sense: SenseStatus) -> str:
    """Say how long its last compute took, since nerve has run."""
    return NOTHING if sense.took_us is None else span(sense.took_us)


def late(sense: SenseStatus) -> str:
    """Say how late it started, the worst of the last minutes."""
    return NOTHING if sense.worst_late_us is None else span(sense.worst_late_us)


def sense_now(picture: Picture, sense: SenseStatus, groups: Mapping[str, GroupStatus]) -> str:
    """Say what a sense does now, or when it runs next."""
    held = _held(picture, sense, groups)
    group = groups.get(sense.group)
    if sense.phase == "running":
        since_us = sense.started_us or picture.now_us
        return f"runs for {span(picture.now_us - since_us)}"
    if held or sense.phase == OFF:
        return held or NOTHING
    if sense.phase == "waiting" and sense.waiting_since_us is not None:
        behind = f" behind {group.running}" if group and group.running else ""
        return f"waits {span(picture.now_us - sense.waiting_since_us)}{behind}"
    parts = []
    if sense.next_us is not None:
        parts.append(f"in {span(sense.next_us - picture.now_us)}")
    if sense.sources:
        parts.append(f"on {sense.sources[0]}" + (", ..." if len(sense.sources) > 1 else ""))
    return ", ".join(parts) or NOTHING


def _held(picture: Picture, sense: SenseStatus, groups: Mapping[str, GroupStatus]) -> str:
    """Say what keeps it from running; empty where nothing does."""
    waiting = sum(lag.number for lag in picture.files.lags.get(sense.name, ()))
    lag = f", {counted(waiting, 'signal')} wait" if waiting else ""
    if sense.name in picture.files.paused:
        return f"paused{lag}"
    quarantine = picture.files.quarantined.get(sense.name)
    if quarantine and quarantine.until_us > picture.now_us:
        return f"quarantine, {span(quarantine.until_us - picture.now_us)} more{lag}"
    group = groups.get(sense.group)
    if group is not None and group.state == "fatal":
        return f"its group was given up{lag}"
    if sense.blocked:
        return f"{sense.blocked}{lag}"
    if sense.held_until_us is not None and sense.held_until_us > picture.now_us:
        word = _HELD.get(sense.held_by, visible(sense.held_by))
        return f"in {span(sense.held_until_us - picture.now_us)}: {word}"
    return ""
