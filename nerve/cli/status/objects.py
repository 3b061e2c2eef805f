"""What is known, as objects for `--json`: of nerve, and each need, group and sense. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from nerve.cli.status.needs import Need
from nerve.cli.status.picture import Picture
from nerve.cli.status.recorded import Lag, Ran
from nerve.clock import rfc3339
from nerve.wire.status import GroupStatus, SenseStatus


def objects(picture: Picture, needs: Sequence[Need]) -> Iterator[dict[str, Any]]:
    """Yield the objects; times are RFC 3339, lengths of time milliseconds."""
    yield _nerve(picture, needs)
    yield from (_need(need) for need in needs)
    yield from (_group(group) for group in picture.groups)
    yield from (_sense(picture, sense) for sense in picture.senses)


def _nerve(picture: Picture, needs: Sequence[Need]) -> dict[str, Any]:
    nerve, boot = picture.nerve, picture.files.boot
    said: dict[str, Any] = {"kind": "nerve", "at": rfc3339(picture.now_us)}
    is_running = nerve is not None or picture.holder is not None
    said |= {"running": is_running, "answers": nerve is not None}
    said["well"] = nerve is not None and not needs
    if nerve is not None:
        said |= {
            "pid": nerve.pid,
            "version": nerve.version,
            "boot": nerve.boot,
            "started": rfc3339(nerve.started_us),
            "config": nerve.config,
            "config_read": rfc3339(nerve.loaded_us),
            "config_changed": picture.is_changed,
            "ready": nerve.is_ready,
            "trouble": nerve.trouble,
            "needs_restart": nerve.needs_restart,
        }
    elif boot is not None:
        ended = {"ended": boot.ended, "ended_at": _at(boot.ended_us)}
        said |= {"version": boot.version, "started": rfc3339(boot.started_us), **ended}
    return said


def _need(need: Need) -> dict[str, Any]:
    said = {"kind": "need", "need": need.word, "level": need.level, "about": need.about}
    return {**said, "message": need.text, "command": need.command}


def _group(group: GroupStatus) -> dict[str, Any]:
    return {
        "kind": "group",
        "group": group.name,
        "state": group.state,
        "pid": group.pid,
        "generation": group.generation,
        "deaths": group.deaths,
        "running": group.running,
        "running_since": _at(group.running_since_us),
        "waiting": group.waiting,
        "starts": _at(group.starts_at_us),
    }


def _sense(picture: Picture, sense: SenseStatus) -> dict[str, Any]:
    files, name = picture.files, sense.name
    paused, quarantine = files.paused.get(name), files.quarantined.get(name)
    held = {"until": _at(sense.held_until_us), "by": sense.held_by} if sense.held_by else None
    return {
        "kind": "sense",
        "sense": name,
        "group": sense.group,
        "phase": sense.phase,
        "last": _ran(files.ran.get(name)),
        "next": _at(sense.next_us),
        "waits_for": sense.sources,
        "unavailable": sense.why if sense.blocked == "unavailable" else None,
        "paused": paused and {"since": rfc3339(paused.since_us), "reason": paused.reason},
        "quarantine": quarantine
        and {"until": rfc3339(quarantine.until_us), "reason": quarantine.reason},
        "held": held,
        "ahead": sense.ahead,
        "waiting_since": _at(sense.waiting_since_us),
        "started": _at(sense.started_us),
        "late_ms": _ms(sense.late_us),
        "worst_late_ms": _ms(sense.worst_late_us),
        "took_ms": _ms(sense.took_us),
        "runs": sense.runs,
        "busy_ms": _ms(sense.busy_us),
        "lag": [_lag(lag) for lag in files.lags.get(name, ())],
    }


def _ran(ran: Ran | None) -> dict[str, Any] | None:
    if ran is None:
        return None
    said = {"outcome": ran.last, "at": rfc3339(ran.last_us), "detail": ran.detail}
    return {**said, "runs": ran.runs, "failures": ran.failures}


def _lag(lag: Lag) -> dict[str, Any]:
    said = {"source": lag.source, "signals": lag.number, "is_more": lag.is_more}
    return {**said, "since": rfc3339(lag.since_us)}


def _at(at_us: int | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)


def _ms(length_us: int | None) -> float | None:
    return None if length_us is None else length_us / 1_000
