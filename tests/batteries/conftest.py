"""A bench: one sense, run in this process on a real database that its migrations made.

Time stands still between looks and is moved by hand, on both clocks or on one of them.
"""

import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from nerve.sense import Context, Trigger, TriggerKind
from nerve.store.engine import core_connection
from nerve.store.migrations import Migrations, upgrade
from nerve.store.peers import PeerDatabases
from nerve.store.sqlite import open_owner
from nerve.worker.pruning import Pruning
from nerve.worker.retention import check, rules

CHECKOUT = Path(__file__).parents[2]
SENSES = CHECKOUT / "senses"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BY_HAND = Trigger(TriggerKind.MANUAL)


def load_sense(folder: Path) -> ModuleType:
    """Import a sense's package from its folder, under a name that shadows nothing."""
    name = f"sense_on_the_bench_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its relative imports look for it there
    spec.loader.exec_module(module)
    return module


class Bench:
    """One sense with its database."""

    def __init__(self, folder: Path, database: Path, peers: Mapping[str, Path]) -> None:
        self.module = load_sense(folder)
        self.database = database
        self.raw = open_owner(database, full_sync=False)
        upgrade(self.raw, Migrations(folder / "migrations"))
        self.db = core_connection(self.raw)
        self.peers = PeerDatabases(folder.name, peers, watch=lambda raw: None)
        self.now = START
        self.clock_s = 5_000.0

    def look(
        self,
        *,
        after_s: float = 0.0,
        clock_after_s: float | None = None,
        trigger: Trigger = BY_HAND,
        **options: Any,
    ) -> dict[str, Any] | None:
        """Run one compute as a worker would; by default both clocks move alike."""
        self.now += timedelta(seconds=after_s)
        self.clock_s += after_s if clock_after_s is None else clock_after_s
        try:
            with self.db.begin():
                payload = self.module.compute(self.db, self.peers, self._context(trigger, options))
        finally:
            self.peers.close()
        if payload is not None:
            assert next(iter(payload)) == "summary"
            assert json.loads(json.dumps(payload, allow_nan=False)) == payload
        return payload

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database between two looks."""
        return self.raw.execute(statement).fetchall()

    def write(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Put rows in, as if an earlier look had written them."""
        with self.db.begin():
            self.db.execute(sa.insert(self.module.metadata.tables[table]), list(rows))

    def prune(self) -> None:
        """Let go what is old, as a worker does between two looks."""
        found = rules(self.module.retention, {})
        check(self.raw, found)
        Pruning(self.database.stem, self.database, found, self).run(self.raw, lambda: False)

    def monotonic(self) -> float:
        return self.clock_s

    def now_us(self) -> int:
        return self.at_us()

    def at_us(self, *, ago_s: float = 0.0) -> int:
        return round((self.now - timedelta(seconds=ago_s)).timestamp() * 1_000_000)

    def close(self) -> None:
        self.peers.close()
        self.db.close()
        self.db.engine.dispose()
        self.raw.close()

    def _context(self, trigger: Trigger, options: Mapping[str, Any]) -> Context:
        return Context(
            name=self.database.stem,
            group="bench",
            trigger=trigger,
            now=self.now,
            deadline=self.clock_s + 30,
            log=logging.LoggerAdapter(logging.getLogger("bench")),
            options=self.module.Options.model_validate(options),
            blobs=None,
            secrets={},
            clock=lambda: self.clock_s,
        )


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Return make_bench(folder, peers={}): databases lie in tmp_path and are closed at the end."""
    made: list[Bench] = []

    def make(folder: Path, peers: Mapping[str, Path] = {}) -> Bench:
        made.append(Bench(folder, tmp_path / f"{folder.name}.db", peers))
        return made[-1]

    yield make
    for bench in made:
        bench.close()
