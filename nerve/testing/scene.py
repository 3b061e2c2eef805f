"""Where a sense under test stands: a made-up nerve.yaml, and databases of its own.

Tests. The sense itself comes from the real project; everything that it leaves behind lies in the
folder that the test was given. What is made up is a whole configuration and is loaded as such, so
that options, durations and secrets mean in a test what they mean in nerve.yaml.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from nerve.config import Loaded, load_config
from nerve.config.models import SenseConfig
from nerve.errors import SenseError
from nerve.store.migrations import SENSE_SCHEMA, Migrations, upgrade
from nerve.store.sqlite import open_owner
from nerve.testing.tables import Row, RowUnfit, insert, make_plain_table, own_tables
from nerve.worker.loader import locate

CONFIG_NAME = "nerve.yaml"


class HasDatabase(Protocol):
    """Another sense under test."""

    @property
    def database(self) -> Path:
        """Its database."""
        ...


Peer: TypeAlias = HasDatabase | Mapping[str, Sequence[Row]] | None
"""Another sense under test; or rows by table; or None for one that has no database yet."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is there before the sense is loaded.

    Attributes:
        name: of the sense under test.
        loaded: the made-up configuration; its folder is that of the project.
        databases: of the sense and of its peers.
        blobs: the folder of blobs, of which each scene has its own.
    """

    name: str
    loaded: Loaded
    databases: Mapping[str, Path]
    blobs: Path

    @property
    def config(self) -> SenseConfig:
        """That of the sense under test."""
        return self.loaded.config.senses[self.name]

    @property
    def database(self) -> Path:
        """That of the sense under test."""
        return self.databases[self.name]


def project_of(start: Path) -> Path:
    """Return the folder of the nearest nerve.yaml at or above `start`; raises SenseError."""
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise SenseError(
        f"there is no {CONFIG_NAME} in {start} or above, so it is not known where senses/ is;"
        " name the folder: sense(..., project=PATH)",
        kind="not_found",
    )


def make_scene(
    name: str,
    *,
    project: Path,
    folder: Path,
    peers: Mapping[str, Peer],
    limits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Scene:
    """Make a scene in an empty folder.

    Args:
        project: the folder that has senses/.
        peers: by the name of the sense.
        limits: those of its group, as under `groups.<name>`.
        settings: its own, as under `senses.<name>`.

    Raises:
        ConfigFaults: for settings that nerve.yaml would not take either.
        RowUnfit: for rows of a peer that its tables do not take.
    """
    senses = {name: settings, **{peer: {} for peer in peers}}
    loaded = _loaded(folder, {"senses": senses}, limits, name)
    (folder / "blobs").mkdir()
    databases = {sense: folder / f"{sense}.db" for sense in senses}
    for peer, made_of in peers.items():
        if isinstance(made_of, Mapping):
            _make_peer(peer, made_of, databases[peer], project)
        elif made_of is not None:
            databases[peer] = made_of.database
    loaded = replace(loaded, path=project / CONFIG_NAME)
    return Scene(name, loaded, databases, folder / "blobs")


def _loaded(folder: Path, config: dict[str, Any], limits: Mapping[str, Any], name: str) -> Loaded:
    if limits:
        config["groups"] = {config["senses"][name].get("group", "default"): limits}
    file = folder / CONFIG_NAME
    # JSON is YAML; and a dollar sign that a test writes is meant as one.
    file.write_text(json.dumps(config).replace("$", "$$"))
    return load_config(file, environ={})


def _make_peer(name: str, tables: Mapping[str, Sequence[Row]], path: Path, project: Path) -> None:
    """Make the database of a peer: by its own migrations, where there is such a sense."""
    migrations = _migrations_of(name, project)
    with closing(open_owner(path, full_sync=False)) as raw:
        upgrade(raw, SENSE_SCHEMA)
        if migrations is None:
            for table, rows in tables.items():
                make_plain_table(raw, table, rows)
        else:
            upgrade(raw, migrations)
        for table, rows in tables.items():
            _fill(raw, name, table, rows)


def _fill(raw: sqlite3.Connection, name: str, table: str, rows: Sequence[Row]) -> None:
    if table not in (names := own_tables(raw)):
        known = ", ".join(names) or "none"
        raise RowUnfit(f"the migrations of the peer {name} make no table {table!r}, but: {known}")
    insert(raw.execute, table, rows)


def _migrations_of(name: str, project: Path) -> Migrations | None:
    """Return those of a sense, which is not imported; None for one that is made up."""
    try:
        location = locate(name, SenseConfig(), project)
    except SenseError:
        return None
    file = location.file
    if file is None and (spec := find_spec(location.module)) is not None and spec.origin:
        file = Path(spec.origin)
    folder = file.parent / "migrations" if file and file.name == "__init__.py" else None
    return Migrations(folder) if folder and folder.is_dir() else None
