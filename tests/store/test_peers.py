import hashlib
import os
import sqlite3
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError as SqlError
from sqlalchemy.orm import Session

from nerve.errors import DatabaseCorrupt, PeerError
from nerve.store.peers import PeerDatabases

ONE_MIB = 1024 * 1024
WRITES = [
    "INSERT INTO t VALUES (2)",
    "UPDATE t SET x = 2",
    "DELETE FROM t",
    "UPDATE sqlite_master SET sql = ''",
    "DROP TABLE t",
    "CREATE TABLE u (x)",
    "CREATE TEMP TABLE u (x)",
    "CREATE TEMP VIEW v AS SELECT * FROM t",
    "CREATE INDEX i ON t (x)",
    "ALTER TABLE t ADD COLUMN y",
    "CREATE VIRTUAL TABLE u USING fts5(x)",
    "ANALYZE",
    "REINDEX",
    "VACUUM",
    "VACUUM INTO '{folder}/copy.db'",
    "ATTACH '{folder}/other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "PRAGMA query_only=0",
    "PRAGMA journal_mode=DELETE",
    "PRAGMA journal_mode=OFF",
    "PRAGMA wal_checkpoint",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA user_version=7",
    "PRAGMA application_id=7",
    "PRAGMA schema_version=7",
    "PRAGMA writable_schema=1",
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA incremental_vacuum",
    "PRAGMA optimize",
    "PRAGMA temp_store_directory='{folder}'",
    "SELECT load_extension('x')",
]


@pytest.fixture
def disk(owner):
    raw = owner("disk.db")
    raw.execute("CREATE TABLE t (x)")
    raw.execute("CREATE INDEX t_x ON t (x)")
    raw.execute("INSERT INTO t VALUES (1)")
    return raw


@pytest.fixture
def peers(tmp_path):
    paths = {name: tmp_path / f"{name}.db" for name in ("own", "disk", "late")}
    peers = PeerDatabases("own", paths, watch=lambda raw: None)
    yield peers
    peers.close()


def contents(folder):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if not file.name.endswith("-shm")
    }


def number(connection):
    return connection.execute(sa.text("SELECT count(*) FROM t")).scalar()


def test_peers_are_every_other_sense_and_never_the_sense_itself(peers):
    """DB-6"""
    assert sorted(peers) == ["disk", "late"]
    assert len(peers) == 2
    assert "disk" in peers
    assert "own" not in peers
    with pytest.raises(PeerError, match="itself"):
        peers["own"]
    with pytest.raises(PeerError, match=r"no sense 'disc'.*disk, late"):
        peers["disc"]


@pytest.mark.parametrize("write", WRITES)
def test_nothing_can_be_written_through_a_peer(disk, peers, tmp_path, write):
    """DB-6"""
    # Everything is in the database file, so a checkpoint would have an empty WAL to cut off.
    disk.execute("PRAGMA wal_checkpoint(FULL)")
    number(peers["disk"])
    peers.close()
    before = contents(tmp_path)
    with pytest.raises(SqlError):
        peers["disk"].execute(sa.text(write.format(folder=tmp_path)))
    with pytest.raises(SqlError):
        peers["disk"].execute(sa.text("INSERT INTO t VALUES (2)"))
    peers.close()
    assert contents(tmp_path) == before
    disk.execute("INSERT INTO t VALUES (3)")
    assert number(peers["disk"]) == 2


def test_reading_through_a_peer_is_not_hindered(disk, peers):
    """DB-6"""
    disk.execute("""CREATE TABLE j AS SELECT '{"a": [1, 2]}' AS doc""")
    peer = peers["disk"]
    assert sa.inspect(peer).get_columns("t")[0]["name"] == "x"
    assert Session(peer).execute(sa.text("SELECT max(x) FROM t")).scalar() == 1
    for statement, expected in [
        ("SELECT sum(value) FROM j, json_each(doc, '$.a')", 3),
        ("SELECT name FROM pragma_table_info('t')", "x"),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5) SELECT max(i) FROM n",
            5,
        ),
        ("SELECT count(*) OVER (ORDER BY x) FROM t", 1),
        ("PRAGMA user_version", 0),
    ]:
        assert peer.execute(sa.text(statement)).scalar() == expected
    with peer.begin_nested():
        assert number(peer) == 1


def test_a_peer_that_is_not_there_yet_is_an_error_that_names_it(owner, peers, tmp_path):
    """DB-7"""
    with pytest.raises(PeerError, match="'late' has no database yet") as missing:
        peers["late"]
    assert "`nerve check`" in missing.value.hint
    assert not (tmp_path / "late.db").exists()
    owner("late.db").execute("CREATE TABLE t (x)")
    assert number(peers["late"]) == 0


def test_a_damaged_peer_is_not_taken_for_a_missing_one(peers, tmp_path):
    """BOOT-6"""
    (tmp_path / "late.db").write_bytes(b"no database" * 1000)
    with pytest.raises(PeerError, match="no SQLite database") as refused:
        peers["late"]
    assert isinstance(refused.value.__cause__, DatabaseCorrupt)


def test_a_compute_sees_one_snapshot_and_the_next_one_a_new_one(disk, peers):
    assert number(peers["disk"]) == 1
    disk.execute("INSERT INTO t VALUES (2)")
    assert number(peers["disk"]) == 1
    peers.close()
    assert number(peers["disk"]) == 2


def test_a_peer_that_the_compute_closed_is_opened_again(disk, peers):
    peers["disk"].close()
    assert number(peers["disk"]) == 1


def test_a_careless_reader_does_not_make_the_owners_wal_grow(disk, peers, tmp_path):
    """DB-8"""
    disk.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1000)])
    kept = peers["disk"].execution_options(yield_per=1).execute(sa.text("SELECT x FROM t"))
    kept.fetchone()
    peers.close()
    for _ in range(5000):
        disk.execute("INSERT INTO t VALUES (zeroblob(3000))")
    assert (tmp_path / "disk.db-wal").stat().st_size < 8 * ONE_MIB
    del kept


def test_a_deadline_can_watch_every_connection_to_a_peer(disk, tmp_path):
    """RUN-2"""
    at = time.monotonic() + 0.1

    def watch(raw):
        raw.set_progress_handler(lambda: time.monotonic() > at, 1000)

    peers = PeerDatabases("own", {"disk": tmp_path / "disk.db"}, watch=watch)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(SqlError) as interrupted:
        peers["disk"].execute(sa.text(endless))
    assert interrupted.value.orig.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
    peers.close()


def test_computes_without_end_do_not_use_up_descriptors(disk, peers, tmp_path):
    for _ in range(50):
        number(peers["disk"])
        peers.close()
    held = [os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")]
    # SQLite keeps one for the next time, because closing it would drop the owner's locks.
    assert 1 <= held.count(os.path.realpath(tmp_path / "disk.db")) <= 2
