"""What the fork server imports once, so that a worker starts in milliseconds.

Runs in the fork server. SQLAlchemy and Alembic load much of themselves at first
use; what a worker will touch is named here, because importing only the top
packages leaves 8 of 18 ms to every start.
"""

import gc
import multiprocessing.popen_fork
import multiprocessing.popen_forkserver

import alembic.autogenerate
import alembic.operations.batch
import alembic.runtime.environment
import alembic.script
import pydantic
import sqlalchemy.dialects.sqlite.pysqlite
import sqlalchemy.orm

import nerve.process.launch
import nerve.worker.main
from nerve.process import guard, sentry
from nerve.process.gaps import close_gaps
from nerve.process.gathering import gather
from nerve.worker import rehearsal
from nerve.worker.warming import warm

__all__ = ["alembic", "multiprocessing", "nerve", "pydantic", "sqlalchemy"]


warm()
rehearsal.stage()
gather(rehearsal.rehearse)
close_gaps()
# So no worker's collector walks through it, or is given a copy of each page of it for that.
gc.freeze()
guard.install(sentry.listening_at)
