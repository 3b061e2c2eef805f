import sqlite3

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from nerve.store.engine import core_connection


class Table(DeclarativeBase):
    pass


class Reading(Table):
    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float]


@pytest.fixture
def raw(owner):
    raw = owner()
    raw.execute("CREATE TABLE reading (id INTEGER PRIMARY KEY, value REAL NOT NULL)")
    return raw


@pytest.fixture
def db(raw, closing):
    return closing(core_connection(raw))


def count(raw):
    return raw.execute("SELECT count(*) FROM reading").fetchone()[0]


def test_a_transaction_takes_the_write_lock_at_its_beginning(raw, db, owner):
    with db.begin():
        assert raw.in_transaction
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            owner(busy_timeout_ms=1).execute("BEGIN IMMEDIATE")


def test_a_rollback_takes_ddl_and_rows_back(raw, db, tables):
    db.begin()
    db.execute(sa.text("CREATE TABLE other (x)"))
    db.execute(sa.insert(Reading).values(value=1.0))
    db.rollback()
    assert tables(raw) == {"reading"}
    assert count(raw) == 0


def test_an_orm_session_works_inside_the_transaction_of_a_compute(raw, db):
    db.begin()
    with Session(db) as session:
        session.add(Reading(value=1.5))
        session.commit()
        assert session.scalars(sa.select(Reading.value)).all() == [1.5]
    assert raw.in_transaction
    db.commit()
    assert count(raw) == 1

    db.begin()
    with Session(db) as session:
        session.add(Reading(value=2.5))
        session.commit()
    db.rollback()
    assert count(raw) == 1


def test_a_savepoint_can_be_rolled_back_alone(raw, db):
    with db.begin():
        db.execute(sa.insert(Reading).values(value=1.0))
        inner = db.begin_nested()
        db.execute(sa.insert(Reading).values(value=2.0))
        inner.rollback()
    assert count(raw) == 1


def test_a_begin_that_was_refused_can_be_tried_again(raw, db, owner):
    raw.execute("PRAGMA busy_timeout=1")
    other = owner()
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        db.begin()
    other.execute("ROLLBACK")
    with db.begin():
        db.execute(sa.insert(Reading).values(value=1.0))
    assert count(raw) == 1


def test_closing_the_wrapper_leaves_the_raw_connection_open(raw, db):
    db.begin()
    db.execute(sa.insert(Reading).values(value=1.0))
    db.close()
    assert count(raw) == 0


def test_a_cursor_kept_by_a_sense_does_not_keep_the_owners_snapshot(raw, db, tmp_path):
    """DB-8"""
    raw.executemany("INSERT INTO reading (value) VALUES (?)", [(1.0,)] * 1000)
    with db.begin():
        kept = db.execution_options(yield_per=1).execute(sa.select(Reading.value))
        kept.fetchone()
    assert raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert (tmp_path / "own.db-wal").stat().st_size == 0
