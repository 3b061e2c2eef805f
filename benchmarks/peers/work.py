"""What every peer's worker does: one row in a WAL database of its own, and a small dict back.

In the worker. It imports next to nothing, so that what a worker weighs is the peer's doing.
"""

import os
import sqlite3
from pathlib import Path

from benchmarks.rows import SAID, grow, insert, open_wal

_open: dict[str, sqlite3.Connection] = {}


def work(folder: str, synchronous: str) -> dict[str, str]:
    """Insert one row; the file is named for the process, which is how it is found."""
    raw = _open.get(synchronous)
    if raw is None:
        path = Path(folder) / f"{os.getpid()}-{synchronous}.db"
        raw = _open[synchronous] = open_wal(path, synchronous)
        grow(raw, synchronous)
    insert(raw)
    return {"said": SAID}


def workers(folder: Path) -> list[int]:
    """Process ids of those who have worked here."""
    return sorted({int(path.name.partition("-")[0]) for path in folder.glob("*.db")})
