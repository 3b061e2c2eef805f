"""The archive: files that logs.db names, files that it does not, runs that failed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nerve.cli.doctor.finding import Finding, note, sound, warning
from nerve.cli.doctor.holding import zone_of
from nerve.cli.doctor.patient import Patient
from nerve.cli.doctor.told import latest_row
from nerve.cli.wording import counted, local_time, sentence
from nerve.config.sizes import show_size
from nerve.store.dayfile import COMPRESSED, LOGS, SIGNALS, ArchivedDay, archived_days
from nerve.store.daylines import MISSING_HINT
from nerve.store.daywriter import UNKNOWN_HINT, announced_key

MAX_SHOWN = 3
"""Files in a message."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What logs.db says of the archive, and what lies there.

    Attributes:
        days: that have a file.
        sizes: bytes of each file that lies there, by its path below the archive.
        announced: keys of days whose file was being written.
    """

    days: Sequence[ArchivedDay]
    sizes: Mapping[str, int]
    announced: Collection[str] = ()


def look_at_archive(patient: Patient) -> Iterator[Finding]:
    """Compare what logs.db names with what is there, and see how the last run of it went."""
    folder = patient.state.archive
    with patient.reading(patient.state.journal_path) as reader:
        days = archived_days(reader)
        query = "SELECT key FROM meta WHERE key GLOB ?"
        announced = [key for (key,) in reader.execute(query, (f"{announced_key('', '')[:-1]}*",))]
        last = latest_row(reader, "archive.failed"), latest_row(reader, "archive.finished")
    shelf = Shelf(days, dict(_sizes(folder)), announced)
    found = list(shelf_findings(folder, shelf, is_held=patient.holder is not None))
    failed, finished = last
    if failed is not None and (finished is None or failed.id > finished.id):
        when = local_time(failed.at_us, zone_of(patient))
        hint = str(failed.payload.get("hint") or "") if isinstance(failed.payload, dict) else ""
        found.append(
            warning(
                f"the last run of the archive failed, at {when}: {sentence(failed.payload)}",
                why="logs.db grows until one succeeds; nothing is lost",
                hint=hint or "`nerve archive` tries it at once",
            )
        )
    yield from found
    if not found:
        size = show_size(sum(shelf.sizes.values()))
        yield sound(
            f"{counted(len(days), 'archived day')}, {size}" if days else "nothing in it yet"
        )


def shelf_findings(folder: Path, shelf: Shelf, *, is_held: bool) -> Iterator[Finding]:
    """Say which files are missing, of another size, or unknown."""
    missing = [day.file for day in shelf.days if day.file not in shelf.sizes]
    if missing:
        yield warning(
            f"{_listed(missing)} missing in {folder}",
            why="log rows and signals were archived there, and are not shown",
            hint=MISSING_HINT,
        )
    other = [day.file for day in shelf.days if shelf.sizes.get(day.file, day.bytes) != day.bytes]
    if other:
        yield warning(
            f"{_listed(other)} not as large as when written to {folder}",
            why="it was changed or cut off, and nerve does not build on it",
            hint="restore it from a copy",
        )
    if shelf.announced and not is_held:
        number = counted(len(shelf.announced), "day")
        yield note(f"the archive of {number} was cut off; the next run begins it anew")
    named = {day.file for day in shelf.days}
    unknown = [file for file in shelf.sizes if file not in named]
    unknown = [file for file in unknown if announced_key(*_day_of(file)) not in shelf.announced]
    if unknown and not is_held:  # a running nerve may be about to name it
        yield warning(f"{_listed(unknown)} not known to logs.db, in {folder}", hint=UNKNOWN_HINT)


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    for kind in (LOGS, SIGNALS):
        for pattern in ("*.jsonl", f"*.jsonl{COMPRESSED}"):
            for file in sorted((folder / kind).glob(pattern)):
                yield f"{kind}/{file.name}", file.stat().st_size


def _day_of(file: str) -> tuple[str, str]:
    kind, _, name = file.partition("/")
    return kind, name.partition(".")[0]


def _listed(files: Sequence[str]) -> str:
    shown = ", ".join(files[:MAX_SHOWN])
    if len(files) == 1:
        return f"{shown} is"
    more = len(files) - MAX_SHOWN
    return f"{shown} and {counted(more, 'more file')} are" if more > 0 else f"{shown} are"
