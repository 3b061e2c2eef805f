"""What is found and put right at a start, before any worker is started.

Parent. One function for each phase, in this order. Each can be run again at any time: what it has
put right once it does not find again, and a parent that is killed in the middle of it leaves
no less than the next one needs. What the workers find in their own databases is told as
they come up: outboxes (`outbox.waiting`), positions (`reflex.backlog`).
"""

import contextlib
from collections.abc import Iterable
from typing import Any

from nerve.clock import rfc3339
from nerve.process.cgroup import remove_leftovers
from nerve.process.remains import Found, alive, end, of_others, read_slates
from nerve.store.blobs import sweep
from nerve.store.boots import Crash
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.warden import Warden


def recover(
    state: StateDir,
    journal: Journal,
    ledger: Ledger,
    warden: Warden,
    crashes: list[Crash],
    senses: Iterable[str],
) -> None:
    """Run all phases and log what they did; `crashes` are the runs that never noted their end."""
    slates = read_slates(state.workers)
    tell_crashes(crashes, slates, ledger)
    counts = {
        "crashed_runs": len(crashes),
        "orphans": end_orphans(state, slates, crashes, journal, ledger),
        "slates": clear_slates(state),
        "unfinished_files": sweep_unfinished(state, ledger),
        "quarantines": restore_quarantines(journal, warden, senses, ledger),
    }
    ledger.log("nerve", "recovery.finished", "info", counts)


def tell_crashes(crashes: list[Crash], slates: list[Found], ledger: Ledger) -> None:
    """Say which runs ended without a word, and what their workers were doing."""
    for crash in crashes:
        running = {
            found.group: found.was_running
            for found in slates
            if found.owner.boot == crash.boot and found.was_running
        }
        doing = f"; running then: {', '.join(running.values())}" if running else ""
        message = f"the run of process {crash.pid} ended without a word{doing}"
        payload: dict[str, Any] = {"message": message, "boot": crash.boot, "pid": crash.pid}
        payload |= {"started": rfc3339(crash.started_us), "running": running}
        ledger.log("nerve", "nerve.crashed", "warning", payload)


def end_orphans(
    state: StateDir, slates: list[Found], crashes: list[Crash], journal: Journal, ledger: Ledger
) -> int:
    """Kill processes of earlier runs; return how many there were.

    Each is asked for the parent of its own run, and also of one whose end was noted by an earlier
    start: a copy still holds what names the processes of the nerve that it was copied from.

    A known gap: a start that is killed after it has noted a crash and before this leaves what only
    the environment names (a child of a sense, without a cgroup) to nobody, as the next one looks
    there for the runs that it finds without an end.
    """
    boots, parents = {crash.boot for crash in crashes}, journal.parents()
    left, known = alive(slates, boots), boots | {found.owner.boot for found in slates}
    theirs = {parents[boot] for boot in known if boot in parents}
    spared = of_others(left, theirs, state.journal_path)
    ended = [pid for pid in left if pid not in spared]
    end(ended)
    remove_leftovers(
        parents.keys() - {ledger.boot} - (boots if spared else set()),
        lambda boot, pids: bool(of_others(pids, {parents[boot]}, state.journal_path)),
    )
    if spared:
        message = "this state directory is a copy of one that another nerve runs with; it goes on"
        hint = "have only one of them do what must not be done twice, such as telling people"
        copied = {"message": message, "hint": hint, "pids": sorted(spared)}
        ledger.log("nerve", "recovery.copied", "warning", copied)
    if ended:
        message = f"processes of an earlier run were still there, and were killed: {len(ended)}"
        ledger.log("nerve", "recovery.orphans", "warning", {"message": message, "pids": ended})
    return len(ended)


def clear_slates(state: StateDir) -> int:
    """Wipe what was read; return how many slates that were."""
    cleared = 0
    with contextlib.suppress(OSError):  # the disk is read-only, or the directory is gone
        for path in state.workers.iterdir():
            path.unlink()
            cleared += 1
    return cleared


def sweep_unfinished(state: StateDir, ledger: Ledger) -> int:
    """Delete blobs and archive files that a killed writer has left half-written."""
    swept = sweep(state.blobs) + sweep(state.archive)
    if swept:
        message = f"{swept} half-written files were deleted; nothing refers to them"
        ledger.log("nerve", "recovery.unfinished", "info", {"message": message, "files": swept})
    return swept


def restore_quarantines(
    journal: Journal, warden: Warden, senses: Iterable[str], ledger: Ledger
) -> int:
    """Take up the quarantines that are stored; return how many still hold."""
    holding = warden.restore(journal.quarantines(), senses)
    for held in holding:
        message = f"still in quarantine until {rfc3339(held.until_us)}: {held.reason}"
        payload = {"message": message, "until": rfc3339(held.until_us), "times": held.times}
        ledger.log(held.sense, "recovery.quarantine", "warning", payload)
    return len(holding)
