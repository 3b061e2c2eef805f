"""Writing logs.db in the parent's place.

Commands. While nerve runs its parent alone writes logs.db; while none runs, a command that
holds the state directory's lock is the one writer itself.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from nerve.config import Loaded
from nerve.errors import AlreadyRunning
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir


@contextmanager
def owned_journal(loaded: Loaded, *, task: str, command: str, hint: str = "") -> Iterator[Journal]:
    """Hold the state directory, and be the journal's one writer.

    Raises AlreadyRunning, which says that a running nerve cannot be told to do the `task`, and
    how to do it with `command` instead; or the `hint` where there is one.
    """
    state = StateDir(loaded.state_dir)
    try:
        lock = state.lock()
    except AlreadyRunning as error:
        error.hint = hint or (
            f"a running nerve cannot be told to {task}: stop it, `{command}`, start it again"
        )
        raise
    try:
        with closing(Journal(state.journal_path)) as journal:
            yield journal
    finally:
        os.close(lock)
