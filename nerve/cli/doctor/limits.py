"""What the machine, or a container, lets nerve have: files, processes, memory.

Limits belong to a process. Where nerve runs they are asked of it, and else of this command,
which may have others than the service that starts nerve.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nerve.cli.doctor.finding import Finding, error, note, sound, warning
from nerve.cli.doctor.patient import Patient
from nerve.cli.wording import counted
from nerve.config.models import Config
from nerve.config.sizes import BYTES_PER_UNIT, show_size
from nerve.errors import StateError
from nerve.process.cgroup import Allowance, allowance
from nerve.worker.limits import DATABASE_FILES, RESERVE_FILES

GROUP_FILES = 8
"""That the parent has open for each group: a socket, three pipes, and what watches the process."""
PARENT_FILES = 64
"""For the rest of it: logs.db, the fork server, the archive."""
WORKER_FILES = 24
"""That a worker has open besides its senses' databases, its own output and imports included."""
NERVE_PROCESSES = 6
"""Besides the workers: parent, sentry, fork server, resource tracker, reserve, archivist."""
WORKER_BYTES = 64 * BYTES_PER_UNIT["MB"]
"""About what the first worker takes with all that is imported; the others share it."""
MORE_WORKER_BYTES = 10 * BYTES_PER_UNIT["MB"]
"""About what each further one takes."""
NUMBERS = {
    "Max open files": ("files", "worker_files"),
    "Max processes": ("processes",),
    "Max file size": ("file_bytes",),
}
"""What a line of /proc/PID/limits begins with, to what its soft and its hard limit are here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one process; None for no limit.

    Attributes:
        files: how many it may open.
        worker_files: how many a process that it starts may, which raises its own limit to this.
        processes: how many processes and threads its user may have.
        file_bytes: how large a file may become.
    """

    files: int | None = None
    worker_files: int | None = None
    processes: int | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Wants:
    """What a configuration needs at least."""

    parent_files: int
    worker_files: dict[str, int]
    processes: int
    memory_bytes: int

    @staticmethod
    def of(config: Config) -> "Wants":
        """Count it."""
        senses = Counter(sense.group for sense in config.senses.values())
        workers = max(1, len(senses))
        return Wants(
            PARENT_FILES + GROUP_FILES * workers,
            {group: WORKER_FILES + DATABASE_FILES * count for group, count in senses.items()},
            NERVE_PROCESSES + workers,
            WORKER_BYTES + MORE_WORKER_BYTES * workers,
        )


# --- limits of a process -----------------------------------------------------------------


def look_at_limits(patient: Patient) -> Iterator[Finding]:
    """Compare what a process of nerve may have open, start and write with what it needs."""
    pid = running(patient)
    limits = limits_in(Path(f"/proc/{pid or os.getpid()}/limits").read_text())
    whose = f"the running nerve (process {pid})" if pid else "this shell"
    user = Path(f"/proc/{pid or os.getpid()}").stat().st_uid
    used = 0 if user == 0 or limits.processes is None else _tasks_of(user)
    yield from limits_findings(patient.loaded.config, limits, whose, user, used, is_up=bool(pid))


def running(patient: Patient) -> int | None:
    """The process id of a running nerve that can be seen from here."""
    if not patient.is_reached:
        return None
    try:
        pid = patient.holder
    except StateError:
        return None
    return pid if pid and Path(f"/proc/{pid}").exists() else None


def limits_in(text: str) -> Limits:
    """Read /proc/PID/limits."""
    found: dict[str, int | None] = {}
    for line in text.splitlines():
        for key, limit in zip(NUMBERS.get(line[:26].strip(), ()), line[26:].split(), strict=False):
            found[key] = None if limit == "unlimited" else int(limit)
    return Limits(**found)


def limits_findings(
    config: Config, limits: Limits, whose: str, user: int, used: int, *, is_up: bool
) -> Iterator[Finding]:
    """Say which limits are too low; `used` are the processes and threads that the user has."""
    wants = Wants.of(config)
    found = [*_files_findings(config, limits, whose, wants)]
    left = None if limits.processes is None or user == 0 else limits.processes - used
    wanted = 1 if is_up else wants.processes
    if left is not None and left < wanted:
        found.append(
            error(
                f"{whose} may start {counted(max(0, left), 'more process')}, of "
                f"{limits.processes:,}; nerve needs {wanted}",
                why="workers cannot be started, nor those replaced that die",
                hint="raise it: LimitNPROC= in the systemd unit, or `ulimit -u`",
            )
        )
    if limits.file_bytes is not None:
        found.append(
            warning(
                f"{whose} may write files of {show_size(limits.file_bytes)} and no larger",
                why="logs.db stops taking entries there",
                hint="lift it: LimitFSIZE=infinity in the systemd unit, or `ulimit -f unlimited`",
            )
        )
    yield from found
    if not found:
        files = "any number of" if limits.files is None else f"{limits.files:,}"
        yield sound(f"{files} open files, as {whose} has it")


def _files_findings(config: Config, limits: Limits, whose: str, wants: Wants) -> Iterator[Finding]:
    if limits.files is not None and limits.files < wants.parent_files:
        yield error(
            f"{whose} may have {limits.files:,} files open; the parent needs about "
            f"{wants.parent_files:,}",
            why="groups are not started beyond that",
            hint="raise it: LimitNOFILE= in the systemd unit, or `ulimit -n`",
        )
    for group, wanted in wants.worker_files.items():
        set_at = config.group(group).open_files
        hard = limits.worker_files
        allowed = set_at if hard is None else min(set_at, hard - RESERVE_FILES)
        if allowed >= wanted:
            continue
        senses = (wanted - WORKER_FILES) // DATABASE_FILES
        raised = (
            f"groups.{group}.open_files" if allowed == set_at else "the hard limit on open files"
        )
        yield error(
            f"group {group} may have {allowed:,} files open; its {counted(senses, 'sense')} need "
            f"about {wanted:,}",
            why=f"each holds {DATABASE_FILES}; those that do not fit are unavailable",
            hint=f"raise {raised}, or divide the group",
        )


def _tasks_of(user: int) -> int:
    """How many threads a user has; that is what the kernel counts."""
    tasks = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid == user:
                tasks += sum(1 for _ in Path(entry.path, "task").iterdir())
        except OSError:  # it has just ended
            continue
    return tasks


# --- what a container is given ---------------------------------------------------------------


def look_at_memory(patient: Patient) -> Iterator[Finding]:
    """Compare the limits of the control group with what nerve needs."""
    pid = running(patient)
    yield from memory_findings(patient.loaded.config, allowance(pid or os.getpid()))


def memory_findings(config: Config, given: Allowance) -> Iterator[Finding]:
    """Say where a control group gives less than nerve, or one of its groups, may want."""
    wants, found = Wants.of(config), list[Finding]()
    if given.memory_bytes is not None:
        found += _memory_findings(config, given.memory_bytes, wants)
    if given.processes is not None and given.processes < wants.processes:
        found.append(
            error(
                f"the control group may have {counted(given.processes, 'process')}; nerve needs "
                f"{wants.processes}",
                why="workers cannot be started, nor those replaced that die",
                hint="raise it: TasksMax= in the systemd unit, --pids-limit of the container",
            )
        )
    yield from found
    if not found:
        memory = given.memory_bytes
        yield sound("no limit is known" if memory is None else f"{show_size(memory)} at most")


def _memory_findings(config: Config, given_bytes: int, wants: Wants) -> Iterator[Finding]:
    given = show_size(given_bytes)
    if given_bytes < wants.memory_bytes:
        yield error(
            f"the control group may use {given} of memory; nerve with these groups takes about "
            f"{show_size(wants.memory_bytes)}",
            why="the kernel kills processes of nerve when it is used up",
            hint="raise it: MemoryMax= in the systemd unit, --memory of the container",
        )
        return
    over = [group for group in wants.worker_files if config.group(group).memory_bytes > given_bytes]
    if over:
        yield note(
            f"the control group may use {given} of memory; `memory` of {_listed(over)} is more",
            why="the kernel then kills before nerve can say which sense it was",
            hint=f"set groups.{over[0]}.memory below {given}",
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004  as above
