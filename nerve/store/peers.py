"""The other senses' databases, as a compute sees them.

Worker. A peer is opened at its first use, because it may not exist when this worker
starts, and closed at the end of every compute, because an open read transaction
stops its owner's WAL from starting over. Between the two a compute sees one
snapshot, from its first statement on. That nothing can be written through a peer is
the work of `open_reader`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Connection, Engine

from nerve.config.names import closest
from nerve.errors import DatabaseMissing, PeerError, StateError
from nerve.store.engine import reader_engine
from nerve.store.sqlite import open_reader


class PeerDatabases:
    """Read-only connections by the name of the sense; implements `nerve.sense.Peers`."""

    def __init__(
        self,
        own_name: str,
        databases: Mapping[str, Path],
        *,
        watch: Callable[[sqlite3.Connection], None],
    ) -> None:
        """Open nothing yet.

        Args:
            own_name: the sense that asks; never among its own peers.
            databases: path of the database of every configured sense; all senses of a worker
                share it, or a thousand of them would hold a million paths.
            watch: called with each new connection, to end its statements at a deadline.
        """
        self._own_name = own_name
        self._databases = databases
        self._watch = watch
        self._engines: dict[str, Engine] = {}
        self._connections: dict[str, Connection] = {}

    def __getitem__(self, name: str) -> Connection:
        connection = self._connections.get(name)
        if connection is None or connection.closed:
            connection = self._connections[name] = self._connect(name)
        return connection

    def __contains__(self, name: object) -> bool:
        return name in self._databases and name != self._own_name

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._databases if name != self._own_name)

    def __len__(self) -> int:
        return len(self._databases) - (self._own_name in self._databases)

    def close(self) -> None:
        """End every snapshot and close every connection; what was read stays valid."""
        with ExitStack() as stack:
            for connection in self._connections.values():
                stack.callback(connection.close)
            self._connections = {}

    def _connect(self, name: str) -> Connection:
        if name not in self:
            raise self._not_a_peer(name)
        engine = self._engines.get(name)
        if engine is None:
            # Kept: making one costs as much as opening the database.
            engine = self._engines[name] = reader_engine(lambda: self._open(name))
        try:
            return engine.connect()
        except DatabaseMissing as error:
            raise PeerError(
                f"the sense {name!r} has no database yet",
                hint="a start of nerve makes it; where one did not, `nerve check` says why",
            ) from error
        except StateError as error:  # a fault of the peer's database, not of the asking sense's
            fact = f"the peer {name!r} cannot be read: {error}"
            raise PeerError(fact, hint=error.hint) from error

    def _open(self, name: str) -> sqlite3.Connection:
        raw = open_reader(self._databases[name])
        self._watch(raw)
        return raw

    def _not_a_peer(self, name: str) -> PeerError:
        if name == self._own_name:
            return PeerError(
                f"{name!r} is this sense itself, not a peer of it",
                hint="its own tables are in `db`, the first argument of compute",
            )
        known = ", ".join(sorted(self)) or "none"
        meant = closest(name, self)
        return PeerError(
            f"there is no sense {name!r}; the peers are: {known}",
            hint=f'did you mean "{meant}"?' if meant else "a peer must be configured in nerve.yaml",
        )
