"""What can be known of a sense without running it.

Worker, usually a short-lived one: this is how `nerve check`, `nerve describe` and
`nerve test` learn about senses without importing them. No database on disk is touched;
the migrations are tried on one in memory.
"""

import inspect
import sqlite3
from contextlib import closing
from pathlib import Path

from nerve.config.secrets import Redactor
from nerve.errors import SenseError
from nerve.store.migrations import Migrations, upgrade
from nerve.wire.messages import DescribedMessage, Fault, RetentionRule, WorkerSpec
from nerve.worker.loader import LoadedSense, load, parse_options
from nerve.worker.retention import check, rules
from nerve.worker.traces import describe_exception


def describe(name: str, spec: WorkerSpec, redactor: Redactor) -> DescribedMessage:
    """Load a sense and describe it; raises what loading it raises."""
    config = spec.senses.get(name)
    if config is None:
        raise SenseError("no such sense in this worker", kind="not_found")
    loaded = load(name, config, Path(spec.folder))
    fault: Fault | None = None
    revisions: tuple[str, ...] = ()
    retention: tuple[RetentionRule, ...] = ()
    try:
        parse_options(loaded, config.options)
        retention = rules(loaded.retention, config.retention)
        revisions = _revisions(loaded)
        _try_migrations(loaded, retention)
    except Exception as error:  # noqa: BLE001  what else is known of it is worth telling
        fault = describe_exception(error, redactor, spec.folder)
    return DescribedMessage(
        generation=spec.generation,
        sense=name,
        fault=fault,
        source=loaded.module.__file__ or "",
        found=loaded.found,
        doc=inspect.cleandoc(loaded.module.__doc__ or ""),
        options=loaded.options_model.model_json_schema() if loaded.options_model else None,
        revisions=revisions,
        tables=tuple(sorted(loaded.metadata.tables)) if loaded.metadata is not None else (),
        retention=retention,
        is_async=inspect.iscoroutinefunction(loaded.compute),
    )


def _revisions(loaded: LoadedSense) -> tuple[str, ...]:
    if loaded.migrations is None:
        return ()
    return tuple(revision.revision for revision in Migrations(loaded.migrations).history())


def _try_migrations(loaded: LoadedSense, retention: tuple[RetentionRule, ...]) -> None:
    """Apply all of them to an empty database in memory, and look for what has a retention.

    Raises MigrationFailed, SenseError.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        if loaded.migrations is not None:
            upgrade(scratch, Migrations(loaded.migrations))
        check(scratch, retention)
