"""Writing logs.db in the parent's place.

Commands. While nerve runs its parent alone writes logs.db; while none runs, a command that
holds the state directory's lock is the one writer itself.
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.errors import AlreadyRunning
from nerve.store.batch import LogEntry
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir


@contextmanager
def owned_journal(loaded: Loaded) -> Iterator[Journal]:
    """Hold the state directory, and be the journal's one writer.

    Raises AlreadyRunning where a nerve, or another command, has begun just now.
    """
    state = StateDir(loaded.state_dir)
    try:
        lock = state.lock()
    except AlreadyRunning as error:
        error.hint = "it has begun just now; try again"
        raise
    try:
        with closing(Journal(state.journal_path)) as journal:
            yield journal
    finally:
        os.close(lock)


def asked_here(command: str) -> dict[str, Any]:
    """Who does something, for a log row: the command, this process, and its user."""
    return {"command": command, "pid": os.getpid(), "uid": os.getuid()}


def entry_of(
    loaded: Loaded, source: str, type_: str, level: str, payload: dict[str, Any]
) -> LogEntry:
    """Make a log row of this moment, with secrets masked."""
    text = json.dumps(loaded.redactor.json(payload), ensure_ascii=False)
    return LogEntry(SystemClock().now_us(), source, type_, level, None, text)
