"""What the fork server imports once, so that a worker starts in milliseconds.

Runs in the fork server. SQLAlchemy and Alembic load much of themselves at first
use; what a worker will touch is named here, because importing only the top
packages leaves 8 of 18 ms to every start.
"""

import alembic.autogenerate
import alembic.operations.batch
import alembic.runtime.environment
import alembic.script
import pydantic
import sqlalchemy.dialects.sqlite.pysqlite
import sqlalchemy.orm

import nerve.worker.main
from nerve.process import guard

__all__ = ["alembic", "nerve", "pydantic", "sqlalchemy"]

guard.install()
