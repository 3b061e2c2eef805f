"""Who holds the state directory, and what earlier runs have left behind."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from nerve.cli.doctor.finding import Finding, note, sound, warning
from nerve.cli.doctor.patient import Boot, Patient
from nerve.cli.wording import counted, local_time
from nerve.errors import ConfigurationInvalid, StateError
from nerve.process.remains import alive, of_others, read_slates
from nerve.store.blobs import UNFINISHED
from nerve.version import VERSION

REPLACED = " (deleted)"
"""How the kernel marks a program whose file is gone or was replaced (proc_pid_exe(5))."""
MAX_SHOWN = 5
"""Process ids and names in a message."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What earlier runs have left.

    Attributes:
        alive: processes that should be gone.
        unfinished: files that were being written.
        slates: files in which workers say what they do.
        unwritten_back: a copy of a deleted database that had not got its place, by that database.
    """

    alive: tuple[int, ...] = ()
    unfinished: tuple[str, ...] = ()
    slates: int = 0
    unwritten_back: tuple[tuple[Path, Path], ...] = ()


# --- the lock --------------------------------------------------------------------------------


def look_at_lock(patient: Patient) -> Iterator[Finding]:
    """Look who has the lock, since when, and with which version."""
    pid, boot = patient.holder, boot_of(patient)
    is_held = pid is not None
    program = ""
    if is_held:
        with suppress(OSError):  # somebody else's, or one that cannot be seen from here
            program = str(Path(f"/proc/{pid}/exe").readlink())
    yield from lock_findings(pid, boot, program, zone_of(patient), VERSION)


def lock_findings(
    pid: int | None, boot: Boot | None, program: str, zone: ZoneInfo, version: str
) -> Iterator[Finding]:
    """Say what a held or a free lock means.

    Args:
        pid: who holds it; None for nobody.
        boot: the latest run.
        program: the Python of the holder as the kernel names it; empty where that is not known.
        zone: whose time is shown.
        version: of this command.
    """
    since = f"since {local_time(boot.started_us, zone)}, version {boot.version}" if boot else ""
    if pid is None:
        yield from _free_findings(boot, since)
        return
    is_its = boot is not None and boot.pid == pid and boot.ended is None
    told = f"process {pid} runs nerve here"
    found = []
    if boot is not None and is_its and boot.version != version:
        found.append(
            warning(
                f"{told} {since}; this is version {version}",
                why="it goes on with the old code, and new workers may load the new",
                hint="restart it",
            )
        )
    if program.endswith(REPLACED):
        found.append(
            warning(
                f"the Python of process {pid}, {program.removesuffix(REPLACED)}, was replaced",
                why="it runs the old one, and a worker that it starts anew may find another",
                hint="restart nerve",
            )
        )
    yield from found
    if not found:
        yield sound(f"{told} {since}" if is_its else told)


def _free_findings(boot: Boot | None, since: str) -> Iterator[Finding]:
    if boot is not None and boot.ended is None:
        yield note(
            f"the run of process {boot.pid} {since} ended without a word",
            why="it was killed, or the machine went down, or its directory was moved or full; "
            "the next start notes that and goes on where it was",
        )
    else:
        yield sound("nerve does not run here")


def boot_of(patient: Patient) -> Boot | None:
    """Return the latest run; None also where the journal cannot be read."""
    try:
        return patient.boot
    except StateError:
        return None


def zone_of(patient: Patient) -> ZoneInfo:
    """Return whose time is shown: UTC where the configuration is at fault."""
    try:
        return ZoneInfo(patient.loaded.config.timezone)
    except ConfigurationInvalid:
        return ZoneInfo("UTC")


# --- leftovers -------------------------------------------------------------------------------


def look_at_leftovers(patient: Patient) -> Iterator[Finding]:
    """Look for processes and files that a next start would clear away."""
    state = patient.state
    is_held = patient.holder is not None
    slates = [] if is_held or not state.workers.is_dir() else read_slates(state.workers)
    running = boot_of(patient) if is_held else None
    boots, parents = _runs(patient)
    left = alive(slates, boots - ({running.boot} if running else set()))
    spared = of_others(left, parents, state.journal_path)
    folders = () if is_held else (state.blobs, state.archive)
    unfinished = [file.name for folder in folders for file in folder.glob(f"{UNFINISHED}*")]
    yield from leftover_findings(
        Remains(
            tuple(pid for pid in left if pid not in spared),
            tuple(unfinished),
            len(slates),
            () if is_held else tuple(_unwritten_back(state.root, state.senses)),
        )
    )


def leftover_findings(remains: Remains) -> Iterator[Finding]:
    """Say what is left, and who clears it away."""
    found = []
    if remains.alive:
        pids = ", ".join(map(str, remains.alive[:MAX_SHOWN]))
        number, verb = counted(len(remains.alive), "process"), _verb(len(remains.alive))
        found.append(
            warning(
                f"{number} of an earlier run {verb} still there: {pids}",
                why="what is left may hold files and ports that the next run wants",
                hint="the next start of nerve ends them; or end them yourself",
            )
        )
    for copy, place in remains.unwritten_back:
        found.append(
            warning(
                f"{place.name} is missing; {copy.name} beside it is what nerve was writing back",
                why="all that the database held may be in it alone",
                hint=f"if `sqlite3 {copy} 'PRAGMA quick_check'` says ok, rename it to {place.name}",
            )
        )
    if remains.unfinished:
        number = counted(len(remains.unfinished), "half-written file")
        found.append(note(f"{number} of an earlier run; the next start deletes them"))
    if remains.slates and not remains.alive:
        number = counted(remains.slates, "slate")
        why = "the next start reads what they did when it was killed, and clears them away"
        found.append(note(f"{number} of workers that are gone", why=why))
    yield from found
    if not found:
        yield sound("nothing is left of earlier runs")


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"


def _runs(patient: Patient) -> tuple[set[str], set[int]]:
    """The runs that the journal knows, and the parents of those that noted no end themselves."""
    try:
        with patient.reading(patient.state.journal_path) as reader:
            runs = reader.execute("SELECT boot, pid, ended IS NOT 'stopped' FROM boots").fetchall()
    except StateError:
        return set(), set()
    return {boot for boot, _, _ in runs}, {pid for _, pid, is_open in runs if is_open}


def _unwritten_back(*folders: Path) -> Iterator[tuple[Path, Path]]:
    for folder in folders:
        for copy in folder.glob(".*.db.unfinished"):
            place = copy.with_name(copy.name[1:].removesuffix(".unfinished"))
            if not place.exists():
                yield copy, place
