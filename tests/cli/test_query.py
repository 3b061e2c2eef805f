import time

import pytest

from nerve.cli.query import ask
from nerve.errors import NerveError

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def readings(project):
    project.sense_database(
        "disk",
        "CREATE TABLE readings (id INTEGER PRIMARY KEY, mount TEXT, used REAL, raw BLOB)",
        "INSERT INTO readings VALUES (1, '/', 22.5, x'00ff'), (2, 'a\tb\\', 9e999, NULL)",
    )
    return project


def test_into_a_pipe_rows_are_tab_separated_with_a_header(readings):
    """CTL-3"""
    done = readings.nerve("query", "disk", "SELECT * FROM readings")
    assert done.stdout == "id\tmount\tused\traw\n1\t/\t22.5\tx'00ff'\n2\ta\\tb\\\\\tinf\t\n"


def test_as_json_every_row_is_an_object(readings, json_lines):
    """CTL-3"""
    done = readings.nerve("query", "disk", "SELECT *, id FROM readings", "--json")
    assert json_lines(done.stdout) == [
        {"id": 1, "mount": "/", "used": 22.5, "raw": "x'00ff'", "id:2": 1},
        {"id": 2, "mount": "a\tb\\", "used": "inf", "raw": None, "id:2": 2},
    ]


def test_rows_are_limited_and_that_is_told(readings, json_lines):
    """CTL-3"""
    done = readings.nerve("query", "disk", "SELECT id FROM readings", "--limit", "1", "--json")
    assert json_lines(done.stdout) == [{"id": 1}]
    assert "only the first 1 row" in done.stderr
    both = readings.nerve("query", "disk", "SELECT id FROM readings", "--limit", "2", "--json")
    assert both.stderr == ""


@pytest.mark.parametrize("statement", ["", "  ", "/* a comment */", "BEGIN"])
def test_a_statement_that_asks_for_nothing_is_told(readings, statement):
    done = readings.nerve("query", "disk", statement)
    assert done.exit_code == 1
    assert "asks for nothing" in done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM readings",
        "CREATE TABLE more (id)",
        "PRAGMA query_only=OFF",
        "ATTACH 'other.db' AS other",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ],
)
def test_nothing_can_be_written(readings, statement):
    """DB-6"""
    done = readings.nerve("query", "disk", statement)
    assert done.exit_code == 1
    assert "only statements that read" in done.stderr
    assert readings.nerve("query", "disk", "SELECT count(*) FROM readings").stdout.endswith("2\n")


@pytest.mark.parametrize("statement", ["SELEC 1", "SELECT 1; SELECT 2", "SELECT * FROM nowhere"])
def test_faulty_sql_is_one_line(readings, statement):
    done = readings.nerve("query", "disk", statement)
    assert done.exit_code == 1
    assert done.stderr.startswith("nerve: SQL: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_query_that_takes_too_long_is_ended(readings):
    began = time.monotonic()
    with pytest.raises(NerveError, match="took longer than"):
        ask(readings.state, "disk", ENDLESS, 1, time_limit_s=0.1)
    assert time.monotonic() - began < 5


def test_an_interrupt_before_the_time_limit_is_ctrl_c(readings, monkeypatch):
    calls = iter([0.0, KeyboardInterrupt])

    def monotonic():
        value = next(calls, 0.1)
        if value is KeyboardInterrupt:
            raise value
        return value

    monkeypatch.setattr("nerve.cli.query.time.monotonic", monotonic)
    with pytest.raises(KeyboardInterrupt):
        ask(readings.state, "disk", ENDLESS, 1)


def test_a_sense_that_never_started_has_no_database(project):
    """CTL-2"""
    done = project.nerve("query", "disk", "SELECT 1")
    assert done.exit_code == 69
    assert "disk has no database yet" in done.stderr


def test_an_unknown_sense_is_a_usage_error_with_a_suggestion(project):
    done = project.nerve("query", "dsik", "SELECT 1")
    assert done.exit_code == 2
    assert 'did you mean "disk"?' in done.stderr
