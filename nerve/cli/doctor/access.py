"""Who may read and write what nerve keeps: owners and modes below the state directory."""

import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nerve.cli.doctor.finding import Finding, error, note, sound, warning
from nerve.cli.doctor.limits import running
from nerve.cli.doctor.patient import Patient
from nerve.cli.wording import counted

MAX_FILES = 20_000
"""Looked at; blobs alone may be millions, and are all made by the same code."""
_WRITTEN = (".db", "lock")
"""How the files end that nerve writes into where they are."""
_OTHERS = 0o077
_OTHERS_WRITE = 0o022


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a directory.

    Attributes:
        path: relative to the state directory; empty for that itself.
    """

    path: str
    mode: int
    owner: int


def look_at_access(patient: Patient) -> Iterator[Finding]:
    """Compare owners and modes with those that nerve gives."""
    root = patient.state.root
    pid = running(patient)
    entries = list(entries_of(root))
    runs_as = Path(f"/proc/{pid}").stat().st_uid if pid else None
    yield from access_findings(root, entries, asking=os.geteuid(), runs_as=runs_as)


def entries_of(root: Path) -> Iterator[Entry]:
    """Yield the directory and what is in it, MAX_FILES at most; links are not followed."""
    there = root.stat()
    yield Entry("", there.st_mode, there.st_uid)
    waiting, seen = [root], 0
    while waiting:
        folder = waiting.pop()
        with suppress(PermissionError), os.scandir(folder) as found:
            for entry in found:
                with suppress(FileNotFoundError):  # it has just been deleted
                    status = entry.stat(follow_symlinks=False)
                    name = os.path.relpath(entry.path, root)
                    yield Entry(name, status.st_mode, status.st_uid)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(Path(entry.path))
                if (seen := seen + 1) >= MAX_FILES:
                    return


def access_findings(
    root: Path, entries: Iterable[Entry], *, asking: int, runs_as: int | None
) -> Iterator[Finding]:
    """Say what others may do there, and what nerve may not.

    Args:
        root: the state directory.
        entries: itself, and what is in it.
        asking: whose command this is, a user id.
        runs_as: who runs nerve there now; None where nobody does.
    """
    top, *inner = entries
    found = [
        *_owner_findings(root, top, inner, asking, runs_as),
        *_closed_findings(root, top.owner if runs_as is None else runs_as, inner),
        *_mode_findings(root, stat.S_IMODE(top.mode), inner),
    ]
    yield from found
    if not found:
        yield sound(f"open to {_name(top.owner)} alone")


def _owner_findings(
    root: Path, top: Entry, inner: list[Entry], asking: int, runs_as: int | None
) -> Iterator[Finding]:
    owner = _name(top.owner)
    if runs_as is None and asking not in (0, top.owner):
        yield error(
            f"{root} belongs to {owner}, and you are {_name(asking)}",
            why="nerve cannot be started by you there",
            hint=f"start it as {owner}, or name another state_dir",
        )
    user = top.owner if runs_as is None else runs_as
    foreign = [entry for entry in inner if entry.owner != user]
    if user != 0 and foreign:
        yield error(
            f"{_some(foreign)} in {root} {_belongs(foreign)} to {_name(foreign[0].owner)}",
            why=f"nerve runs as {_name(user)} and cannot write there",
            hint=f"chown -R {_name(user)} {root}; start nerve as one user always",
        )
    elif foreign:
        yield note(
            f"{_some(foreign)} in {root} {_belongs(foreign)} to {_name(foreign[0].owner)}",
            why="root writes there all the same; another user cannot be given only a part of it",
        )


def _closed_findings(root: Path, user: int, inner: list[Entry]) -> Iterator[Finding]:
    """Say what is closed to its own owner; root may do everything."""
    closed = [e for e in inner if user and e.owner == user and _is_closed(e)]
    if closed:
        yield error(
            f"{_some(closed)} in {root} cannot be read and written by {_name(user)}, the owner",
            why="nerve refuses a database, and a directory, in which it cannot write",
            hint=f"chmod -R u+rwX {root}",
        )


def _is_closed(entry: Entry) -> bool:
    if stat.S_ISDIR(entry.mode):
        return entry.mode & stat.S_IRWXU != stat.S_IRWXU
    needed = stat.S_IRUSR | stat.S_IWUSR
    return entry.path.endswith(_WRITTEN) and entry.mode & needed != needed


def _mode_findings(root: Path, mode: int, inner: list[Entry]) -> Iterator[Finding]:
    # The mode of a link says nothing.
    opened = [e for e in inner if not stat.S_ISLNK(e.mode) and stat.S_IMODE(e.mode) & _OTHERS]
    hint = f"chmod -R go= {root}"
    if mode & _OTHERS_WRITE:
        why = "they can put databases of their own in the place of nerve's"
        yield error(f"others may write in {root} (mode {mode:04o})", why=why, hint=hint)
    elif mode & _OTHERS:
        what = f", and at {_some(opened)} in it" if opened else ""
        why = "what senses have seen may be none of their business"
        yield warning(f"others may look into {root} (mode {mode:04o}){what}", why=why, hint=hint)
    elif opened:
        yield note(
            f"{_some(opened)} in {root} {'are' if len(opened) > 1 else 'is'} open to others",
            why="they cannot come there through the state directory, which is closed",
        )


def _some(entries: list[Entry]) -> str:
    first = entries[0].path
    return first if len(entries) == 1 else f"{first} and {counted(len(entries) - 1, 'more entry')}"


def _belongs(entries: list[Entry]) -> str:
    return "belongs" if len(entries) == 1 else "belong"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
