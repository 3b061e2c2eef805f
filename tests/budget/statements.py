"""The SQL statements of a connection, told to another process without a system call.

In the parent and in the workers that are measured, and in the process that measures: each database
has a mapped file beside it, into which the connection's owner writes and which the other reads
and clears while nothing runs.
"""

import mmap
import re
import struct
from collections import Counter
from pathlib import Path

BYTES = 1024 * 1024
"""Room for the statements of some hundred computes."""
_USED = struct.Struct("<Q")
_GIST = re.compile(r"(?:INSERT INTO|REPLACE INTO|UPDATE|DELETE FROM) \w+|\w+(?: IMMEDIATE)?")
"""What is done to which table; the rest of a statement may be put otherwise and cost the same."""


class Statements:
    """The statements of one connection since they were last cleared."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, or make it."""
        path.touch()
        with path.open("r+b") as file:
            file.truncate(BYTES)
            self._map = mmap.mmap(file.fileno(), BYTES)

    def note(self, statement: str) -> None:
        """Add one; to be given to `sqlite3.Connection.set_trace_callback`."""
        line = statement.replace("\n", " ").encode() + b"\n"
        (used,) = _USED.unpack_from(self._map)
        begin = _USED.size + used
        self._map[begin : begin + len(line)] = line
        _USED.pack_into(self._map, 0, used + len(line))

    def clear(self) -> None:
        """Forget all of them."""
        _USED.pack_into(self._map, 0, 0)

    def counts(self) -> Counter[str]:
        """How often each of them ran, by what it does."""
        (used,) = _USED.unpack_from(self._map)
        lines = self._map[_USED.size : _USED.size + used].decode().splitlines()
        return Counter(gist.group() for line in lines if (gist := _GIST.match(line)))
