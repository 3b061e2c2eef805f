import hashlib
import os
import sqlite3
import threading

import pytest

from nerve.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseMissing,
    Exit,
    StateForbidden,
    StateFull,
)
from nerve.store.faults import explain
from nerve.store.sqlite import open_owner, open_reader


def one(raw, statement):
    return raw.execute(statement).fetchone()[0]


def digests(folder):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if not file.name.endswith("-shm")
    }


@pytest.mark.parametrize(("full_sync", "synchronous"), [(False, 1), (True, 2)])
def test_an_owner_is_set_up_before_its_first_table(owner, full_sync, synchronous):
    """DB-1"""
    raw = owner(full_sync=full_sync, busy_timeout_ms=1234)
    assert one(raw, "PRAGMA journal_mode") == "wal"
    assert one(raw, "PRAGMA synchronous") == synchronous
    assert one(raw, "PRAGMA foreign_keys") == 1
    assert one(raw, "PRAGMA auto_vacuum") == 2
    assert one(raw, "PRAGMA busy_timeout") == 1234
    assert one(raw, "PRAGMA journal_size_limit") == 8 * 1024 * 1024


def test_a_file_system_that_refuses_wal_is_an_error(tmp_path, elsewhere):
    """DB-1"""
    # Another connection inside a transaction keeps the journal mode from changing.
    other = sqlite3.connect(tmp_path / "own.db", isolation_level=None)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError):
        open_owner(tmp_path / "own.db", full_sync=False, busy_timeout_ms=10)
    other.close()


def test_the_files_of_a_database_are_for_their_owner_alone(owner, tmp_path):
    raw = owner()
    raw.execute("CREATE TABLE t (x)")
    assert {file.name for file in tmp_path.iterdir()} == {"own.db", "own.db-wal", "own.db-shm"}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "name", ["with space", "a?b=c&mode=rwc", "a#b", "100%25 %2F", "数", "x" * 150]
)
def test_a_directory_may_have_an_odd_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    raw = open_owner(folder / f"{name}.db", full_sync=False)
    raw.execute("CREATE TABLE t AS SELECT 7 AS x")
    reader = open_reader(folder / f"{name}.db")
    assert one(reader, "SELECT x FROM t") == 7
    with pytest.raises(sqlite3.Error):
        reader.execute("INSERT INTO t VALUES (8)")
    reader.close()
    raw.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_relative_path_works(tmp_path, monkeypatch, closing):
    monkeypatch.chdir(tmp_path)
    raw = closing(open_owner(tmp_path.relative_to(tmp_path) / "own.db", full_sync=False))
    raw.execute("CREATE TABLE t (x)")
    assert one(closing(open_reader(tmp_path / "own.db")), "SELECT count(*) FROM t") == 0


def test_a_missing_database_is_missing_and_is_not_made(tmp_path):
    """BOOT-6"""
    with pytest.raises(DatabaseMissing):
        open_reader(tmp_path / "none.db")
    with pytest.raises(DatabaseMissing):
        open_reader(tmp_path / "no" / "none.db")
    assert list(tmp_path.iterdir()) == []


def sound_database(folder):
    raw = open_owner(folder / "own.db", full_sync=False)
    raw.execute("CREATE TABLE t (x)")
    raw.executemany("INSERT INTO t VALUES (zeroblob(?))", [(3000,)] * 50)
    raw.close()
    return (folder / "own.db").read_bytes()


DAMAGES = {
    "no database at all": lambda content: b"Dear diary, " * 500,
    "a page of zeros first": lambda content: bytes(4096) + content[4096:],
    "cut short": lambda content: content[: len(content) // 2],
    "a broken schema page": lambda content: content[:100] + os.urandom(3996) + content[4096:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("opening", [open_reader, lambda path: open_owner(path, full_sync=True)])
def test_a_corrupt_database_is_refused_and_untouched(tmp_path, damage, opening):
    """BOOT-6"""
    (tmp_path / "own.db").write_bytes(damage(sound_database(tmp_path)))
    before = digests(tmp_path)
    with pytest.raises(DatabaseCorrupt) as refused:
        opening(tmp_path / "own.db")
    assert refused.value.path == tmp_path / "own.db"
    assert "untouched" in refused.value.hint
    assert digests(tmp_path)["own.db"] == before["own.db"]


def test_what_a_crash_left_in_the_wal_is_not_folded_into_a_corrupt_database(tmp_path):
    """BOOT-6"""
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    content = sound_database(tmp_path)
    raw = open_owner(tmp_path / "own.db", full_sync=False)
    raw.execute("UPDATE t SET x = zeroblob(2999)")
    (crashed / "own.db").write_bytes(b"Dear diary, today" + content[17:])
    (crashed / "own.db-wal").write_bytes((tmp_path / "own.db-wal").read_bytes())
    raw.close()
    before = digests(crashed)
    with pytest.raises(DatabaseCorrupt):
        open_owner(crashed / "own.db", full_sync=False)
    assert digests(crashed) == before


def test_an_empty_file_is_a_start_that_was_cut_short(tmp_path, closing):
    """BOOT-6"""
    (tmp_path / "own.db").touch()
    raw = closing(open_owner(tmp_path / "own.db", full_sync=False))
    raw.execute("CREATE TABLE t (x)")


def test_an_immutable_reader_makes_no_file_beside_the_database(owner, tmp_path, closing):
    raw = owner()
    raw.execute("CREATE TABLE t (x)")
    raw.close()
    (only,) = tmp_path.iterdir()
    reader = closing(open_reader(only, immutable=True))
    assert one(reader, "SELECT count(*) FROM t") == 0
    assert list(tmp_path.iterdir()) == [only]


def test_a_database_without_access_is_forbidden(tmp_path, without_privileges):
    """BOOT-6"""
    sound_database(tmp_path)
    path = tmp_path / "own.db"
    tmp_path.chmod(0o600)
    assert without_privileges("open_reader(path)", path) == "StateForbidden"
    assert without_privileges("open_owner(path, full_sync=False)", path) == "StateForbidden"
    tmp_path.chmod(0o711)
    path.chmod(0)
    assert without_privileges("open_reader(path)", path) == "StateForbidden"
    assert without_privileges("open_owner(path, full_sync=False)", path) == "StateForbidden"


def test_a_locked_database_is_told_apart(owner, tmp_path):
    first, second = owner(), owner(busy_timeout_ms=10)
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as locked:
        second.execute("BEGIN IMMEDIATE")
    explained = explain(locked.value, tmp_path / "own.db")
    assert isinstance(explained, DatabaseLocked)
    assert explained.hint


def test_a_full_disk_is_seen_by_the_caller_and_loses_nothing_committed(owner, tmp_path):
    """LOG-6"""
    raw = owner()
    raw.execute("CREATE TABLE t (x)")
    raw.execute("INSERT INTO t VALUES (1)")
    raw.execute(f"PRAGMA max_page_count={one(raw, 'PRAGMA page_count')}")
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.Error) as full:
        raw.execute("INSERT INTO t VALUES (zeroblob(100000))")
    explained = explain(full.value, tmp_path / "own.db")
    assert isinstance(explained, StateFull)
    assert explained.fault == "disk_full"
    assert "space" in explained.hint
    raw.rollback()
    assert one(raw, "SELECT count(*) FROM t") == 1


def test_every_explanation_has_the_exit_code_of_its_kind(tmp_path):
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    assert isinstance(explain(error, tmp_path), StateForbidden)
    assert explain(error, tmp_path).exit_code == Exit.NO_PERMISSION
    assert type(explain(sqlite3.ProgrammingError("odd"), tmp_path)) is DatabaseError


def test_opening_anew_does_not_drop_the_locks_of_this_process(owner, elsewhere, tmp_path):
    first = owner()
    first.execute("CREATE TABLE t (x)")
    owner()
    # To leave WAL takes a lock that nobody gets while the first connection is open.
    code = """
        import sqlite3, sys
        raw = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
        try:
            print(raw.execute("PRAGMA journal_mode=DELETE").fetchone()[0])
        except sqlite3.OperationalError as error:
            print(error.sqlite_errorname)
    """
    assert elsewhere(code, tmp_path / "own.db").communicate()[0] == "SQLITE_BUSY\n"


def test_a_connection_may_be_handed_to_a_writing_thread(owner):
    raw = owner(any_thread=True)
    thread = threading.Thread(target=raw.execute, args=("CREATE TABLE t (x)",))
    thread.start()
    thread.join()
    assert one(raw, "SELECT count(*) FROM t") == 0


def test_connections_that_give_their_spare_pages_back_hold_less_and_cache_as_before(
    tmp_path, elsewhere
):
    code = """
        import sys
        from pathlib import Path
        from nerve.store.sqlite import give_back_spare_pages, open_owner
        def in_use():
            return int(Path("/proc/self/statm").read_text().split()[1])
        def held(name, prepare):
            before, kept = in_use(), []
            for number in range(50):
                raw = open_owner(Path(sys.argv[1]) / f"{name}{number}", full_sync=False)
                raw.execute("CREATE TABLE t (n)")
                size = raw.execute("PRAGMA cache_size").fetchone()
                prepare(raw)
                assert raw.execute("PRAGMA cache_size").fetchone() == size
                kept.append(raw)
            return kept, in_use() - before
        spared, few = held("spared", give_back_spare_pages)
        plain, many = held("plain", lambda _: None)
        print(few < many * 2 / 3)
    """
    assert elsewhere(code, tmp_path).communicate()[0].strip() == "True"
