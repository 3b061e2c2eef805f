"""The floor, as others hold it: `floor`, asked over its stdin."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.line_process import LineProcess

WORKER_IMPORTS = (
    "alembic.autogenerate",
    "alembic.operations.batch",
    "alembic.runtime.environment",
    "alembic.script",
    "pydantic",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.orm",
)
"""What every worker has for its senses; the floor that has it, too, shows nerve's own part."""


class FloorProcess(LineProcess):
    """A warm process that forks bare children."""

    def __init__(self, name: str, folder: Path, modules: Sequence[str] = ()) -> None:
        """Start it; its databases lie in `folder`, and it imports `modules` first."""
        folder.mkdir()
        self._folder = str(folder)
        super().__init__(name, "benchmarks.floor", modules, folder / "errors")

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have something done, in its directory or another; raises Died without an answer."""
        return super().ask(do, **{"folder": self._folder, **arguments})


@contextlib.contextmanager
def floor_processes(
    folder: Path, floors: Mapping[str, Sequence[str]]
) -> Iterator[list[FloorProcess]]:
    """One for each name, which imports those modules; each has a directory in `folder`."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(FloorProcess(name, folder / f"floor-{number}", modules))
            for number, (name, modules) in enumerate(floors.items())
        ]


@contextlib.contextmanager
def bare_and_laden(folder: Path) -> Iterator[list[FloorProcess]]:
    """The bare floor, and the one that has imported what workers have."""
    names = {"bare fork": (), "fork, a worker's imports": WORKER_IMPORTS}
    with floor_processes(folder, names) as floors:
        yield floors
