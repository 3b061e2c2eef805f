"""Which times lie in which ids of logs.db, so that who asks for an hour need not read a month.

Written by the run that archives, once a day; read by commands. Ids grow with time as a rule, and
nothing may rely on it: a clock stepped, a signal waited in its outbox while nerve did not run.
So for every SPAN_IDS ids, once all of them are taken, it is noted from when to when their entries
are. An entry is never changed and no later one gets an id of theirs, so that stays true. What is
not noted yet is looked through, which is a day at the most: 64 ms for a million.

No index on the time, nor anything else that a signal would have to wait for.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass

from nerve.store.journal_reading import newest_id

SPAN_IDS = 20_000
"""Some 2 ms to look through."""
_MAX = 2**63 - 1
_OLDEST = (
    "SELECT min(id) FROM (SELECT min(id) AS id FROM logs UNION ALL SELECT min(id) FROM signals)"
)


@dataclass(frozen=True, slots=True)
class Span:
    """Ids from the first to the last one, and from when to when their entries are."""

    first_id: int
    last_id: int
    first_us: int
    last_us: int


def unnoted(reader: sqlite3.Connection) -> Iterator[Span]:
    """Find what can be noted."""
    (first_id,) = reader.execute(
        f"SELECT coalesce((SELECT max(last_id) + 1 FROM spans), ({_OLDEST}), 1)"  # noqa: S608  our own
    ).fetchone()
    newest = newest_id(reader)
    while first_id + SPAN_IDS - 1 <= newest:
        last_id = first_id + SPAN_IDS - 1
        times = reader.execute(
            "SELECT coalesce(min(at_us), 0), coalesce(max(at_us), 0) FROM timeline"
            " WHERE id BETWEEN ? AND ?",
            (first_id, last_id),
        ).fetchone()
        # A damaged row may be of any time.
        sound = all(isinstance(at_us, int) for at_us in times)
        yield Span(first_id, last_id, *(times if sound else (-_MAX, _MAX)))
        first_id = last_id + 1


def note(raw: sqlite3.Connection, span: Span) -> None:
    """Note it, and forget those of which all entries are gone; each in a transaction of its own."""
    raw.execute(
        "INSERT OR IGNORE INTO spans (first_id, last_id, first_us, last_us) VALUES (?, ?, ?, ?)",
        astuple(span),
    )
    raw.execute(f"DELETE FROM spans WHERE last_id < ({_OLDEST})")  # noqa: S608  our own


def ranges_of(
    reader: sqlite3.Connection, since_us: int | None, until_us: int | None
) -> list[tuple[int, int]]:
    """The ids, rising, among which all entries of a time are: (after, up to) for each range."""
    first, last, noted = reader.execute(
        "SELECT min(first_id) FILTER (WHERE asked), max(last_id) FILTER (WHERE asked),"
        " coalesce(max(last_id), 0) FROM"
        " (SELECT first_id, last_id, last_us >= ? AND first_us < ? AS asked FROM spans)",
        (-_MAX if since_us is None else since_us, _MAX if until_us is None else until_us),
    ).fetchone()
    return [(first - 1, last), (noted, _MAX)] if first is not None else [(noted, _MAX)]
