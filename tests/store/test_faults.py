"""Which of our errors a driver's or the system's error is."""

import errno
import os
import resource
import sqlite3

import pytest

from nerve.errors import DatabaseCorrupt, DatabaseError, DatabaseMissing, Exit, StateError
from nerve.store.faults import explain, refused
from nerve.store.sqlite import open_owner


def driver_error(code, message="as the driver says"):
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (sqlite3.SQLITE_FULL, "disk_full"),
        (sqlite3.SQLITE_CORRUPT, "corrupt"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "corrupt"),
        (sqlite3.SQLITE_NOTADB, "corrupt"),
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"),
        (sqlite3.SQLITE_IOERR_WRITE, "io_error"),
        (sqlite3.SQLITE_READONLY, "forbidden"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "deleted"),
        (sqlite3.SQLITE_CANTOPEN, "io_error"),
    ],
)
def test_each_fault_has_its_word_its_file_and_a_hint(tmp_path, code, fault):
    """LOG-6"""
    path = tmp_path / "own.db"
    path.touch()
    explained = explain(driver_error(code), path)
    assert (explained.fault, explained.path) == (fault, path)
    assert str(path) in str(explained)
    assert "as the driver says" in str(explained)
    assert explained.hint


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_CORRUPT_VTAB]
)
def test_an_error_of_a_statement_is_no_fault_of_the_storage(tmp_path, code):
    explained = explain(driver_error(code), tmp_path / "own.db")
    assert type(explained) is DatabaseError
    assert explained.fault == ""


def test_what_cannot_be_opened_is_missing_where_it_is_not_there(tmp_path):
    explained = explain(driver_error(sqlite3.SQLITE_CANTOPEN), tmp_path / "none.db")
    assert isinstance(explained, DatabaseMissing)


def test_a_process_without_descriptors_is_told_so(tmp_path):
    """LOG-6"""
    path = tmp_path / "own.db"
    path.touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        explained = explain(driver_error(sqlite3.SQLITE_CANTOPEN), path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert explained.fault == "io_error"
    assert "Too many open files" in str(explained)
    assert "open files" in explained.hint


@pytest.mark.parametrize(
    ("number", "fault", "code"),
    [
        (errno.ENOSPC, "disk_full", Exit.INPUT_OUTPUT),
        (errno.EDQUOT, "disk_full", Exit.INPUT_OUTPUT),
        (errno.EROFS, "read_only", Exit.CANNOT_CREATE),
        (errno.EACCES, "forbidden", Exit.NO_PERMISSION),
        (errno.EPERM, "forbidden", Exit.NO_PERMISSION),
        (errno.EIO, "io_error", Exit.INPUT_OUTPUT),
        (errno.EMFILE, "io_error", Exit.INPUT_OUTPUT),
        (errno.ENOTDIR, "", Exit.CANNOT_CREATE),
    ],
)
def test_the_systems_errors_are_the_same_faults(tmp_path, number, fault, code):
    """LOG-6"""
    explained = refused(OSError(number, os.strerror(number)), tmp_path, hint="look")
    assert isinstance(explained, StateError)
    assert (explained.fault, explained.exit_code) == (fault, code)
    assert explained.hint


def test_who_begins_logs_db_anew_is_told_to_move_its_archive_too(tmp_path):
    """LOG-3"""
    path = tmp_path / "logs.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseCorrupt) as caught:
        open_owner(path, full_sync=True)
    assert "archive as well" in caught.value.hint
