"""logs.db: whether it can be read, where it stands, and whether its pages are sound."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nerve.cli.doctor.finding import Finding, LookedInVain, error, note, sound, warning
from nerve.cli.doctor.patient import Patient, wal_of
from nerve.cli.journal import READABLE
from nerve.cli.wording import counted
from nerve.config.sizes import BYTES_PER_UNIT, show_size
from nerve.errors import DatabaseError, StateError
from nerve.store.schema import JOURNAL_HEAD, VERSION_TABLE, current_revisions

CHECK_BUDGET_S = 1.5
"""For the pages of logs.db, and once more for those of all senses together."""
STEPS_PER_LOOK = 10_000
"""Of SQLite's machine between two looks at the time; below a millisecond."""
LARGE_WAL_BYTES = 64 * BYTES_PER_UNIT["MB"]
"""A WAL is folded in at 4 MB and shortened to 8; far beyond that something keeps it."""
NEWER_HINT = "a newer version wrote it: install that one, or restore an older database"
DAMAGE_WHY = "what stands there cannot be relied on, and nerve refuses it when it meets that"
DAMAGE_HINT = "stop nerve, copy it with its -wal, and restore it or let `sqlite3 FILE .recover` try"


def look_at_journal(patient: Patient) -> Iterator[Finding]:
    """Look whether logs.db can be read, is sound, and of which version it is."""
    path = patient.state.journal_path
    if not path.exists():
        yield _no_journal(patient)
        raise LookedInVain
    if not path.is_file():
        raise StateError(f"{path} is not a file", path=path, hint="move it away")
    with patient.reading(path) as reader:
        revisions = current_revisions(reader, VERSION_TABLE)
        if not revisions:
            yield note("it has no tables yet: a first start was cut off; the next one goes on")
            raise LookedInVain
        begun = list(journal_findings(path, revisions))
        damage = damage_in(reader, time.monotonic() + CHECK_BUDGET_S)
    found = [*begun, *wal_findings(path, is_held=patient.holder is not None)]
    if damage:
        found.append(error(f"{path} is damaged: {damage}", why=DAMAGE_WHY, hint=DAMAGE_HINT))
    yield from found
    if not found:
        yield sound(f"can be read, {show_size(path.stat().st_size)}")


def _no_journal(patient: Patient) -> Finding:
    state = patient.state
    left = [path.name for path in sorted(state.senses.glob("*.db"))]
    if not left:
        return sound("there is no logs.db yet; the first start makes it")
    return warning(
        f"{state.journal_path} is missing, and {counted(len(left), 'sense')} have a database",
        why="signals, log and positions were in it; the next start begins a new one",
        hint="restore it from a copy; or else move archive/ away before the next start",
    )


def journal_findings(path: Path, found: Sequence[str]) -> Iterator[Finding]:
    """Say where logs.db stands; raises DatabaseError where it cannot be read for that reason."""
    if len(found) > 1 or not READABLE.issuperset(found):
        stands = ", ".join(found)
        fact = f"{path} stands at revision {stands}, and this nerve knows {JOURNAL_HEAD}"
        raise DatabaseError(fact, path=path, hint=NEWER_HINT)
    if found[0] != JOURNAL_HEAD:
        yield note(
            f"logs.db stands at revision {found[0]}; the next start brings it to {JOURNAL_HEAD}",
            why="an older nerve cannot use it after that: copy it first if you may want to go back",
        )


def wal_findings(path: Path, *, is_held: bool) -> Iterator[Finding]:
    """Say when a WAL has grown beyond what nerve lets it."""
    wal = wal_of(path)
    try:
        size_bytes = wal.stat().st_size
    except OSError:
        return
    if size_bytes < LARGE_WAL_BYTES:
        return
    fact = f"{wal.name} has {show_size(size_bytes)}"
    if is_held:
        yield warning(
            fact,
            why="a reader that stays in one transaction keeps it from being folded in; it grows on",
            hint=f"find who with `fuser -v {path}`, and end it; never delete the -wal",
        )
    else:
        yield note(fact, why="it holds committed data; the next start folds it in")


def damage_in(reader: sqlite3.Connection, until: float) -> str:
    """Run quick_check until a moment on the monotonic clock; return what it finds by then."""
    reader.set_progress_handler(lambda: time.monotonic() > until, STEPS_PER_LOOK)
    try:
        (first,) = reader.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as ended:
        if ended.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return ""
    finally:
        reader.set_progress_handler(None, 0)
    return "" if first == "ok" else " ".join(str(first).split())
