"""A sense's database that is not there yet: made whole, and put in its place at once.

Worker, at its start. SQLite and Alembic take ten syncs of the disk and 4 ms of a processor for
each new database; ten thousand of them are a minute, on a slow disk five. So one is migrated in
memory, and each that is missing is a copy of its bytes, with an epoch of its own: written to a file
without a name, synced, and linked to its path. It is there whole or not at all, whatever is killed
meanwhile, nothing is left behind, and what stands at the path is never touched.

Where that cannot be done nothing is, and whoever opens the path makes the database in it.
"""

import contextlib
import os
import secrets
import sqlite3
from functools import cache
from pathlib import Path

from nerve.store.migrations import SENSE_SCHEMA, upgrade
from nerve.store.sqlite import FILE_MODE, NEW_DATABASE

_COMPANIONS = ("", "-wal", "-shm", "-journal")
"""What SQLite may have left at a path. A -wal would be played back over a new file."""
_FORMATS = slice(18, 20)
_WAL = b"\x02\x02"
"""In the header of a file: it is read and written through a -wal."""


@cache
def template() -> bytes:
    """Make the database of a sense that has never run; once, in the fork server, for all."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.execute(NEW_DATABASE)
        upgrade(raw, SENSE_SCHEMA)
        return raw.serialize()


def make_if_missing(path: Path) -> None:
    """Put a new sense's database at `path` if nothing is there. Raises nothing of the disk's."""
    if any(os.path.lexists(f"{path}{companion}") for companion in _COMPANIONS):
        return
    # A file system without such files, a full disk, no right to write: opening it will tell.
    with contextlib.suppress(OSError):
        _publish(_new(), path)


def _new() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.deserialize(template())
        # Not SQLite's randomblob: its numbers go on in each fork where they stood in the parent,
        # until that opens a file.
        raw.execute("UPDATE nerve_identity SET epoch = ?", (secrets.token_hex(16),))
        image = bytearray(raw.serialize())
    image[_FORMATS] = _WAL
    return bytes(image)


def _publish(image: bytes, path: Path) -> None:
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE)
    try:
        if os.write(descriptor, image) != len(image):
            return
        os.fsync(descriptor)
        # With a directory given, and only then, Python's link follows the link that it is given.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    finally:
        os.close(descriptor)
