"""Which processes hold a file of a certain name by flock(2), and where that file is now.

Any process; reads /proc alone. A lock is on the file and not on its path, so this finds it where a
directory was renamed, and where nobody knows any more in which directory it lies. Of other users'
processes nothing is seen, nor of those in other containers.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

MAX_HOLDERS = 1_000
"""Processes that are looked at; each takes some 50 us."""


def held_files(name: str) -> Iterator[tuple[int, Path]]:
    """Yield each such process with the file of this name that it has open."""
    for pid in _holders():
        for path in _open_files(pid):
            if path.name == name:
                yield pid, path
                break


def _holders() -> list[int]:
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:  # hidden in some sandboxes
        return []
    # 7: FLOCK  ADVISORY  WRITE 31364 fe:00:2664253 0 EOF
    fields = (line.split() for line in lines)
    pids = [int(f[4]) for f in fields if f[1:4] == ["FLOCK", "ADVISORY", "WRITE"]]
    return list(dict.fromkeys(pids))[:MAX_HOLDERS]


def _open_files(pid: int) -> Iterator[Path]:
    # It is gone, or somebody else's; or a file was closed meanwhile.
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                yield descriptor.readlink()
