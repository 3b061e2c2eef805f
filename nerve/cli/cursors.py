"""How far each target has got with the signals of each source, from the files. Read-only.

Two places say so: the journal's cursor and the position in the target's own database. A
crash may fall between the two, so the larger one holds, as at a start of nerve
(`supervisor/positions.py`). The source of a timer begins with SOURCE_MARK, and its number is
the time of the last tick that was answered, in UTC microseconds.
"""

import sqlite3
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from nerve.cli.output import say_hanging
from nerve.cli.wording import visible
from nerve.config import Config, Loaded
from nerve.errors import StateError
from nerve.reflex.listeners import Pair, routes_of
from nerve.reflex.timers import SOURCE_MARK, timers_of
from nerve.store.journal_reading import cursors_in, newest_id, signal_ids_after
from nerve.store.positions import positions_in
from nerve.store.state_dir import StateDir


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a target has got.

    Attributes:
        is_declared: whether a reflex has this target and source.
        journal: what logs.db says; None for nothing.
        database: what the target's own database says; None for nothing.
        newest: id of the journal's newest entry. A position beyond it is of a journal that
            was deleted, and says nothing.
    """

    target: str
    source: str
    is_declared: bool
    journal: int | None
    database: int | None
    newest: int

    @property
    def is_timer(self) -> bool:
        """Whether it is a timer's, and so a time."""
        return self.source.startswith(SOURCE_MARK)

    @property
    def position(self) -> int | None:
        """The last signal that was answered; None for one that begins with the next signal."""
        is_credible = self.is_timer or (self.database or 0) <= self.newest
        known = (self.journal, self.database if is_credible else None)
        return max((position for position in known if position is not None), default=None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Signals after a position.

    Attributes:
        number: how many there are.
        since_us: when the oldest of them was given; None where there are none.
    """

    number: int
    since_us: int | None


def cursors_of(loaded: Loaded, reader: sqlite3.Connection) -> list[Cursor]:
    """Return all cursors, those first that the configuration declares."""
    declared = dict.fromkeys(_declared(loaded.config))
    stored, newest = cursors_in(reader), newest_id(reader)
    told = dict(_told(loaded, (target for target, _ in [*declared, *stored])))
    return [
        Cursor(*pair, pair in declared, stored.get(pair), told.get(pair), newest)
        for pair in dict.fromkeys([*declared, *sorted(stored), *sorted(told)])
    ]


def cursor_of(loaded: Loaded, reader: sqlite3.Connection, pair: Pair) -> Cursor:
    """Return the cursor of a pair that the configuration declares; raises StateError."""
    target, source = pair
    told = positions_in(StateDir(loaded.state_dir).sense_db(target))
    stored, newest = cursors_in(reader).get(pair), newest_id(reader)
    return Cursor(
        target, source, is_declared=True, journal=stored, database=told.get(source), newest=newest
    )


def waiting_after(
    reader: sqlite3.Connection, positions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], Waiting]:
    """Count the signals after each of these positions, (source, id), in one pass."""
    found = signal_ids_after(reader, positions)
    return {(source, at): _waiting(reader, found[source], at) for source, at in positions}


def _waiting(reader: sqlite3.Connection, ids: "array[int]", position: int) -> Waiting:
    first = bisect_right(ids, position)
    number = len(ids) - first
    return Waiting(number, time_of(reader, ids[first]) if number else None)


def before_oldest(reader: sqlite3.Connection, source: str) -> int | None:
    """Return the position before all signals of a source; None where it has none."""
    query = "SELECT min(id) FROM signals WHERE sense = ?"
    (oldest,) = reader.execute(query, (source,)).fetchone()
    return None if oldest is None else oldest - 1


def time_of(reader: sqlite3.Connection, entry_id: int) -> int | None:
    """Return when a signal or a log row was recorded; None where there is none of that id."""
    row = reader.execute("SELECT at_us FROM timeline WHERE id = ?", (entry_id,)).fetchone()
    return None if row is None else int(row[0])


def _declared(config: Config) -> Iterator[Pair]:
    yield from (route.pair for route in routes_of(config))
    yield from ((timer.sense, timer.source) for timer in timers_of(config) if timer.keeps_position)


def _told(loaded: Loaded, targets: Iterable[str]) -> Iterator[tuple[Pair, int]]:
    """Yield what the databases of senses say; one that cannot be read is told of."""
    state = StateDir(loaded.state_dir)
    for target in dict.fromkeys(targets):
        if target not in loaded.config.senses:  # then it has no database that nerve uses
            continue
        try:
            positions = positions_in(state.sense_db(target))
        except StateError as error:
            told = f"{visible(str(error))}; for {target} the journal alone was asked"
            say_hanging("nerve: ", told, "red")
            continue
        yield from (((target, source), position) for source, position in positions.items())
