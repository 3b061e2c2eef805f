"""The databases of the senses: sound, where they stand, what waits in them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nerve.cli.doctor.finding import Finding, error, note, sound, warning
from nerve.cli.doctor.journal import (
    CHECK_BUDGET_S,
    DAMAGE_HINT,
    DAMAGE_WHY,
    NEWER_HINT,
    damage_in,
    wal_findings,
)
from nerve.cli.doctor.patient import Patient
from nerve.cli.wording import counted
from nerve.clock import US_PER_S
from nerve.errors import ConfigurationInvalid, StateError
from nerve.store.journal_reading import received_in
from nerve.store.schema import SENSE_HEAD, VERSION_TABLE, current_revisions

AUTHORS_VERSION_TABLE = "alembic_version"
DATABASES_BUDGET_S = 3.0
"""For looking at all senses' databases; ten thousand take longer."""
UNTOLD_US = 60 * US_PER_S
"""So old a signal of a running nerve should have been taken over."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one sense's database stands.

    Attributes:
        nerves: revisions of nerve's own tables; none in a database that has just been made.
        authors: those of the sense's tables.
        waiting: signals that the journal does not have.
        oldest_us: when the oldest of them was given.
        damage: what `PRAGMA quick_check` says; empty for nothing.
    """

    nerves: Sequence[str] = ()
    authors: Sequence[str] = ()
    waiting: int = 0
    oldest_us: int | None = None
    damage: str = ""


def look_at_databases(patient: Patient) -> Iterator[Finding]:
    """Look at the database of each configured sense, and for what has none."""
    state, is_held = patient.state, patient.holder is not None
    received, began = _received(patient), time.monotonic()
    senses = list(_senses(patient))
    found, looked_at, seen = list[Finding](), 0, 0
    for name in senses:
        path = state.sense_db(name)
        if time.monotonic() - began > DATABASES_BUDGET_S:
            break
        looked_at += 1
        if not path.exists():
            continue
        seen += 1
        try:
            standing = _standing(patient, path, received, began + CHECK_BUDGET_S)
        except StateError as refusal:
            why = f"{name} does not run without it, the others do"
            found.append(error(str(refusal), why=why, hint=refusal.hint))
            continue
        described = patient.described.get(name)
        known = described.revisions if described and not described.fault else None
        found += standing_findings(name, path, standing, known, patient.now_us, is_held=is_held)
        found += wal_findings(path, is_held=is_held)
    found += stray_findings(_stray_wals(state.root, state.senses))
    yield from found
    if looked_at < len(senses):
        left = counted(len(senses) - looked_at, "database")
        yield note(f"{left} more; these took {DATABASES_BUDGET_S:.0f} s")
    elif not found:
        yield sound(f"{counted(seen, 'database')} of senses can be read")


def standing_findings(
    sense: str,
    path: Path,
    standing: Standing,
    known: Sequence[str] | None,
    now_us: int,
    *,
    is_held: bool,
) -> Iterator[Finding]:
    """Say whether a sense's database fits its code, and what waits in it.

    Args:
        sense: its name.
        path: of the database.
        standing: where that stands.
        known: the revisions of the sense, oldest first; None where they are not known.
        now_us: the present.
        is_held: whether nerve runs.
    """
    if standing.damage:
        yield error(f"{path} is damaged: {standing.damage}", why=DAMAGE_WHY, hint=DAMAGE_HINT)
    yield from _revision_findings(sense, path, standing, known, is_held=is_held)
    if not standing.waiting:
        return
    number = counted(standing.waiting, "signal")
    age_us = now_us - (standing.oldest_us or now_us)
    if is_held and age_us > UNTOLD_US:
        yield warning(
            f"{number} of {sense} not recorded yet, the oldest for {age_us // US_PER_S:,} s",
            why="the running nerve has not recorded them",
            hint="see `nerve logs --type storage.trouble`, `--type worker.died` and `nerve list "
            "senses`",
        )
    elif not is_held:
        yield note(f"{number} of {sense} not recorded yet; the next start tells them")


def _revision_findings(
    sense: str,
    path: Path,
    standing: Standing,
    known: Sequence[str] | None,
    *,
    is_held: bool,
) -> Iterator[Finding]:
    why = f"{sense} is unavailable until then; the database is left as it is"
    when = "a restart" if is_held else "the next start"
    if any(revision > SENSE_HEAD for revision in standing.nerves):
        stands = ", ".join(standing.nerves)
        fact = f"{path} has tables of a newer nerve: revision {stands}, this one has {SENSE_HEAD}"
        yield error(fact, why=why, hint=NEWER_HINT)
    elif standing.nerves and SENSE_HEAD not in standing.nerves:
        yield note(f"{path} has tables of an older nerve; {when} brings them to {SENSE_HEAD}")
    if (not known and not standing.authors) or known is None or not standing.nerves:
        return
    ahead = [revision for revision in standing.authors if revision not in known]
    if ahead:
        fact = (
            f"{path} stands at revision {', '.join(ahead)}, which the sense {sense} does not have"
        )
        yield error(fact, why=why, hint=NEWER_HINT)
    elif list(standing.authors) != [known[-1]]:
        stands = f"at revision {', '.join(standing.authors)}" if standing.authors else "before any"
        yield note(f"the database of {sense} stands {stands}; {when} brings it to {known[-1]}")


def stray_findings(strays: Sequence[Path]) -> Iterator[Finding]:
    """Say what a WAL without its database means."""
    for wal in strays:
        yield error(
            f"{wal} is there without its database",
            why="what was committed last is in it; a new database of that name would discard it",
            hint="restore the database beside it before the next start, or move both away; "
            "never delete it alone",
        )


def _senses(patient: Patient) -> Iterator[str]:
    try:
        yield from patient.loaded.config.senses
    except ConfigurationInvalid:
        yield from (path.stem for path in sorted(patient.state.senses.glob("*.db")))


def _standing(
    patient: Patient, path: Path, received: Mapping[tuple[str, str], int] | None, until: float
) -> Standing:
    with patient.reading(path) as reader:
        nerves = current_revisions(reader, VERSION_TABLE)
        authors = current_revisions(reader, AUTHORS_VERSION_TABLE)
        waiting, oldest_us = 0, None
        if received is not None and nerves:
            (epoch,) = reader.execute("SELECT epoch FROM nerve_identity").fetchone() or ("",)
            last = received.get((path.stem, epoch), 0)
            query = "SELECT count(*), min(at_us) FROM nerve_outbox WHERE seq > ?"
            waiting, oldest_us = reader.execute(query, (last,)).fetchone()
        return Standing(nerves, authors, waiting, oldest_us, damage_in(reader, until))


def _received(patient: Patient) -> Mapping[tuple[str, str], int] | None:
    """Return the last number that the journal has of each outbox; None where it tells nothing."""
    with suppress(StateError), patient.reading(patient.state.journal_path) as reader:
        return received_in(reader)
    return None


def _stray_wals(*folders: Path) -> list[Path]:
    return [
        wal
        for folder in folders
        for wal in sorted(folder.glob("*.db-wal"))
        if wal.stat().st_size and not wal.with_name(wal.name.removesuffix("-wal")).exists()
    ]
