"""Doing once what every worker does at its start, for all of them.

Fork server. It makes what SQLAlchemy makes at first use, which all workers then share: without
it each compiles and caches for itself, 8 of 18 ms and 0.6 MB. And it makes the database of a new
sense, of which they need copies. (What a worker can do ahead for itself alone is in `rehearsal`.)
"""

import sqlite3

import sqlalchemy

from nerve.config.models import SenseConfig
from nerve.logs import set_levels
from nerve.process.kernel import machine_boot
from nerve.store.engine import core_connection
from nerve.store.newborn import template
from nerve.wire.messages import WorkerSpec

_SPEC = WorkerSpec(
    generation=0,
    boot="",
    group="",
    folder="",
    blobs="",
    senses={"warm": SenseConfig()},
    databases={"warm": ""},
)


def warm() -> None:
    """Use SQLAlchemy and Alembic once, over databases in memory, and read a specification."""
    set_levels()
    machine_boot()
    raw = sqlite3.connect(":memory:", isolation_level=None)
    with core_connection(raw) as connection, connection.begin():
        connection.execute(sqlalchemy.text("CREATE TABLE warm (n INTEGER)"))
        connection.execute(sqlalchemy.text("INSERT INTO warm VALUES (:n)"), {"n": 1})
    raw.close()
    template()
    WorkerSpec.model_validate_json(_SPEC.model_dump_json(by_alias=True))
