"""LOG-6: a disk that is really full while a day is written, and is freed again."""

import os

from tests.faults.test_storage import child, disk

__all__ = ["disk"]

ROOM_BYTES = 600 * 1024
"""Enough to open logs.db, and half of what the day's file takes."""
PRELUDE = """
    import json, sys
    from pathlib import Path
    from nerve.errors import StateError
    from tests.archive.conftest import Kept, days_ago, log

    kept = Kept(Path(sys.argv[1]))
"""
RECORD = """
    kept.record(*(log(days_ago(3, n), "x" * 500) for n in range(2_000)))
"""
ARCHIVE = """
    try:
        kept.archive()
    except StateError as error:
        print(json.dumps(error.fault))
"""
LOOK = """
    print(json.dumps([len(kept.in_tables()), len(kept.in_files()), kept.files()]))
"""


def test_on_a_full_disk_all_stays_as_it_is_and_once_there_is_space_it_is_done(disk):
    """LOG-6"""

    def do(code):
        return child(PRELUDE + code, disk.inside, prefix=disk.enter)

    do(RECORD)
    disk.filling.fill()
    filling = disk.outside / "filling"
    os.truncate(filling, filling.stat().st_size - ROOM_BYTES)
    assert do(ARCHIVE) == ["disk_full"]
    disk.filling.free()
    assert do(LOOK) == [[2_000, 0, []]]
    assert do(ARCHIVE + LOOK) == [[0, 2_000, ["logs/2024-10-01.jsonl"]]]
