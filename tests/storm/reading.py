"""Reading what a storm has left: databases, files, processes. nerve must not run meanwhile."""

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.storm.hand import Hand
from tests.storm.project import GUEST, SENSES
from tests.storm.verdict import Evidence, Kept, Signal

MARK = "NERVE_STORM"
"""The environment variable that every process of one storm has, with the storm's own value."""
ALARMS = (
    "group.fatal",
    "sense.quarantined",
    "worker.unkillable",
    "row.invalid",
    "message.invalid",
    "message.refused",
    "control.failed",
    "control.unavailable",
    "control.lost",
    "trigger.failed",
    "compute.error",
    "reflex.given_up",
    "reflex.loop",
)
"""Types of log rows that a storm must not cause: its limits are lifted, its senses sound."""
OWN_ERRORS = "%an error of nerve itself%"


def read(root: Path, mark: str, unasked: list[str], hands: Sequence[Hand] = ()) -> Evidence:
    """Read everything below the project `root`; `mark` is the value of MARK."""
    promises = [hand.promises for hand in hands]
    journal = root / "data" / "logs.db"
    with closing(_open(journal)) as logs:
        return Evidence(
            listens={name: sense.on for name, sense in SENSES.items()},
            signals=_signals(logs),
            kept={name: _kept(root / "data", name) for name in SENSES},
            cursors={(t, s): i for t, s, i in _all(logs, "cursors", "target, source, signal_id")},
            outcomes={(s, o): n for s, o, n in _all(logs, "outcomes", "sense, outcome, count")},
            open_boots=_one(logs, "SELECT count(*) FROM boots WHERE ended_us IS NULL"),
            alarms=_alarms(logs),
            processes=processes(mark),
            files=_files(root),
            unasked=unasked,
            fickle=frozenset({GUEST}) if hands else frozenset(),
            complaints=[complaint for hand in hands for complaint in hand.complaints],
            told_signals=[told for promise in promises for told in promise.signals],
            told_counts=sum((promise.counts for promise in promises), Counter()),
            told_triggers=sum((promise.triggers for promise in promises), Counter()),
            triggers=_triggers(logs),
        )


def processes(mark: str) -> list[str]:
    """Processes that bear the mark and run: pid and command line."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")[:100].decode()
                found.append(f"{folder.name} {command}")
        except OSError:  # gone, or somebody else's
            continue
    return [one for one in found if int(one.split()[0]) != os.getpid()]


def _signals(logs: sqlite3.Connection) -> list[Signal]:
    rows = logs.execute("SELECT id, sense, epoch, seq, payload FROM signals ORDER BY rowid")
    return [Signal(i, sense, epoch, seq, json.loads(p)["n"]) for i, sense, epoch, seq, p in rows]


def _kept(data: Path, name: str) -> Kept:
    with closing(_open(data / "senses" / f"{name}.db")) as own:
        rows = own.execute("SELECT n, said FROM runs ORDER BY n").fetchall()
        heard = own.execute("SELECT source, signal, n FROM heard ORDER BY rowid").fetchall()
        blobs = own.execute("SELECT n, blob FROM runs WHERE blob IS NOT NULL").fetchall()
        return Kept(
            rows=[(n, bool(said)) for n, said in rows],
            heard=heard,
            left_out=_one(own, "SELECT coalesce(sum(left_out), 0) FROM runs"),
            positions=dict(own.execute("SELECT source, signal_id FROM nerve_position").fetchall()),
            waiting=_one(own, "SELECT count(*) FROM nerve_outbox"),
            epoch=_one(own, "SELECT epoch FROM nerve_identity"),
            bad_blobs=[n for n, digest in blobs if not _is_sound(data / "blobs", digest)],
        )


def _is_sound(blobs: Path, digest: str) -> bool:
    try:
        content = (blobs / digest[:2] / digest[2:]).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == digest


def _alarms(logs: sqlite3.Connection) -> list[str]:
    marks = ", ".join("?" * len(ALARMS))
    where = f"type IN ({marks}) OR payload LIKE ?"
    query = f"SELECT source, type, payload FROM logs WHERE {where} LIMIT 20"
    return [" ".join(row) for row in logs.execute(query, (*ALARMS, OWN_ERRORS))]


def _triggers(logs: sqlite3.Connection) -> dict[str, int]:
    """Of each sense, how many rows of the log say that somebody has triggered it."""
    query = "SELECT source, count(*) FROM logs WHERE type = 'sense.triggered' GROUP BY source"
    return dict(logs.execute(query).fetchall())


def _files(root: Path) -> list[str]:
    """Files of nerve's that an orderly stop must not leave."""
    data, temporary = root / "data", root / "tmp"
    left = [*data.glob("*-wal"), *data.glob("*-shm"), *data.glob("senses/*-wal")]
    left += [*data.glob("senses/*-shm"), *data.glob("blobs/.*"), *data.glob("nerve.sock*")]
    left += [*data.glob("workers/*"), *data.glob("fork/listener-*"), *temporary.iterdir()]
    return sorted(str(file.relative_to(root)) for file in left)


def _open(path: Path) -> sqlite3.Connection:
    # Immutable, or the reader itself would make a WAL and an index that are then found.
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)


def _all(connection: sqlite3.Connection, table: str, columns: str) -> list:
    return connection.execute(f"SELECT {columns} FROM {table}").fetchall()


def _one(connection: sqlite3.Connection, query: str):
    return connection.execute(query).fetchone()[0]
