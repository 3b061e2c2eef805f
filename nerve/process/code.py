"""Whether the files of a sense's code are still those that a worker has loaded.

Worker and parent; reads directories, and no file's content. A fingerprint is made of names, sizes
and times of modification: a worker makes one as it loads a sense, a reload makes another one and
compares. What Python writes itself, and what is hidden, does not count.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

MAX_FILES = 2_000
"""Files of one sense that are looked at; a folder with more has something else in it as well."""
CLOCK_GRAIN_NS = 20_000_000
"""How far a file's time may lie behind the clock: file systems take it from a coarse one."""


def fingerprint(roots: Iterable[str], *, loaded_since_ns: int | None = None) -> str:
    """Sum up the files at or below some paths; whatever cannot be read counts as not there.

    Empty where one of them was written after `loaded_since_ns`, UTC nanoseconds: then it is not
    known which of its contents was loaded.
    """
    digest = hashlib.blake2b(digest_size=16)
    latest_ns = 0
    for path, size, modified_ns in sorted(_bounded(roots)):
        digest.update(f"{path}\0{size}\0{modified_ns}\0".encode(errors="surrogateescape"))
        latest_ns = max(latest_ns, modified_ns)
    if loaded_since_ns is not None and latest_ns >= loaded_since_ns - CLOCK_GRAIN_NS:
        return ""
    return digest.hexdigest()


def _bounded(roots: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    left = MAX_FILES
    for root in roots:
        for path in _files(Path(root)):
            if not left:
                return
            left -= 1
            try:
                found = path.stat()
            except OSError:
                continue
            yield str(path), found.st_size, found.st_mtime_ns


def _files(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(folder, name)
