"""What is examined: the configuration, the state directory, and who holds it.

In the helper. Each of these is looked up once, when a step first asks for it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nerve.cli.settings import Settings
from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.config.whereabouts import STATE_DIR_VARIABLE, find_state_dir
from nerve.errors import DatabaseCorrupt
from nerve.store.faults import explained
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir
from nerve.wire.messages import DescribedMessage

BUSY_TIMEOUT_MS = 1_000
"""For a database that somebody has locked; below the time of a step."""


@dataclass(frozen=True, slots=True)
class Boot:
    """The latest run of nerve, as the journal tells of it.

    Attributes:
        ended: how, e.g. `stopped`; None where it has left no word.
    """

    boot: str
    pid: int
    version: str
    started_us: int
    ended: str | None


class Patient:
    """One installation."""

    def __init__(self, settings: Settings, *, is_reached: bool) -> None:
        """Examine what `settings` name.

        Without `is_reached` the state directory has come to nothing before, and may hang: the
        configuration is then read as if another one were meant, which nobody looks at.
        """
        self._settings = settings
        self.is_reached = is_reached
        self.described: dict[str, DescribedMessage] = {}
        """What loading the senses has told of them."""
        self._environ = dict(os.environ)
        if not is_reached:
            os.environ[STATE_DIR_VARIABLE] = os.sep

    @property
    def now_us(self) -> int:
        """The present, and not the beginning: meanwhile a nerve that runs here records on."""
        return SystemClock().now_us()

    @cached_property
    def place(self) -> Path | None:
        """The state directory as it is named; None where nobody can tell which it is."""
        settings = self._settings
        return find_state_dir(settings.path(), environ=self._environ, overrides=settings.overrides)

    @cached_property
    def loaded(self) -> Loaded:
        """The configuration; raises ConfigFaults."""
        return self._settings.load()

    @cached_property
    def state(self) -> StateDir:
        """The state directory, also where the rest of the configuration is at fault."""
        assert self.place is not None  # noqa: S101  the steps that need it come after one that asks
        return StateDir(Path(os.path.realpath(self.place)))

    @cached_property
    def holder(self) -> int | None:
        """Process id of the nerve that runs here; raises StateForbidden where that is not told."""
        return self.state.holder()

    @cached_property
    def boot(self) -> Boot | None:
        """The latest run; None where the journal knows none. Raises StateError."""
        path = self.state.journal_path
        if not path.exists():
            return None
        with self.reading(path) as reader:
            try:
                found = reader.execute(
                    "SELECT boot, pid, version, started_us, ended FROM boots"
                    " ORDER BY id DESC LIMIT 1"
                ).fetchone()
            except sqlite3.OperationalError:  # a first start was killed before it made the table
                return None
        return Boot(*found) if found else None

    @contextmanager
    def reading(self, path: Path) -> Iterator[sqlite3.Connection]:
        """Open a database to read, and leave no file behind beside it; raises StateError."""
        with closing(self._opened(path)) as reader, explained(path):
            yield reader

    def _opened(self, path: Path) -> sqlite3.Connection:
        # A reader of a database in WAL mode makes the files -wal and -shm. Where there is no
        # -wal nobody writes, and the file alone can be read as it is.
        if self.holder is None and not wal_of(path).exists():
            try:
                return open_reader(path, immutable=True)
            except DatabaseCorrupt:  # or nerve was just started, and writes there
                pass
        return open_reader(path, busy_timeout_ms=BUSY_TIMEOUT_MS)


def wal_of(path: Path) -> Path:
    """Return the path of a database's WAL."""
    return path.with_name(f"{path.name}-wal")
