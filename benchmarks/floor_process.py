"""The floor, as others hold it: `floor`, asked over its stdin."""

import contextlib
from collections.abc import Iterator, Sequence
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
        """Have something done; raises Died when there is no answer."""
        return super().ask(do, folder=self._folder, **arguments)


@contextlib.contextmanager
def bare_and_laden(folder: Path) -> Iterator[tuple[FloorProcess, FloorProcess]]:
    """The bare floor, and the one that has imported what workers have."""
    with (
        FloorProcess("bare fork", folder / "bare") as bare,
        FloorProcess("fork, a worker's imports", folder / "laden", WORKER_IMPORTS) as laden,
    ):
        yield bare, laden
