"""The runs of nerve that the journal knows: each start of a parent, and how it ended.

Parent, at its start and at its end. A run that noted no end has crashed, which the next start
finds. Each function takes the journal's connection.
"""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crash:
    """An earlier run of the parent that left no word of its end."""

    boot: str
    pid: int
    started_us: int


def begin(raw: sqlite3.Connection, boot: str, *, pid: int, version: str, at_us: int) -> list[Crash]:
    """Note the start of a parent; close those before it that never noted their end."""
    raw.execute("BEGIN IMMEDIATE")
    rows = raw.execute("SELECT boot, pid, started_us FROM boots WHERE ended IS NULL")
    crashes = [Crash(*row) for row in rows.fetchall()]
    raw.execute("UPDATE boots SET ended = 'crashed', ended_us = ? WHERE ended IS NULL", (at_us,))
    raw.execute(
        "INSERT INTO boots (boot, pid, version, started_us) VALUES (?, ?, ?, ?)",
        (boot, pid, version, at_us),
    )
    raw.execute("COMMIT")
    return crashes


def end(raw: sqlite3.Connection, boot: str, *, how: str, at_us: int) -> None:
    """Note the end of a parent that had the time to."""
    raw.execute("UPDATE boots SET ended = ?, ended_us = ? WHERE boot = ?", (how, at_us, boot))


def parents(raw: sqlite3.Connection) -> dict[str, int]:
    """The ids of all runs, the present one included, and the process that each was."""
    return dict(raw.execute("SELECT boot, pid FROM boots").fetchall())


def last_seen_us(raw: sqlite3.Connection) -> int | None:
    """About when the last run was last alive; None where there was none.

    One that was killed was alive at its last outcome: a tick after that would have had one.
    """
    # Not the newest log row: commands write such, too, while nerve does not run.
    (last_us,) = raw.execute(
        "SELECT CASE ended WHEN 'stopped' THEN ended_us ELSE max(started_us,"
        " coalesce((SELECT max(last_at_us) FROM outcomes), 0),"
        " coalesce((SELECT at_us FROM signals ORDER BY id DESC LIMIT 1), 0)) END"
        " FROM boots ORDER BY id DESC LIMIT 1"
    ).fetchone() or (None,)
    return None if last_us is None else int(last_us)


def installation(raw: sqlite3.Connection, candidate: str) -> str:
    """The id of this installation: `candidate` if it has none yet, and from then on that."""
    raw.execute(
        "INSERT INTO meta (key, value) VALUES ('installation', ?) ON CONFLICT DO NOTHING",
        (candidate,),
    )
    query = "SELECT value FROM meta WHERE key = 'installation'"
    (found,) = raw.execute(query).fetchone()
    return str(found)
