"""The floor, as this process holds it: `floor.py`, asked over its stdin."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
SCRIPT = Path(__file__).with_name("floor.py")


class FloorProcess:
    """A warm process that forks bare children."""

    def __init__(self, name: str, folder: Path, modules: Sequence[str] = ()) -> None:
        """Start it; its databases lie in `folder`, and it imports `modules` first."""
        self.name = name
        folder.mkdir()
        self._folder = str(folder)
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Have something done; raises EOFError when the floor has died."""
        assert self._process.stdin is not None  # noqa: S101  both are pipes
        assert self._process.stdout is not None  # noqa: S101
        request = {"do": do, "folder": self._folder, **arguments}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise EOFError("the floor has died")
        return json.loads(line)

    def close(self) -> None:
        """End it, and with it its children."""
        self._process.communicate()


@contextlib.contextmanager
def floor_processes(
    folder: Path, floors: Mapping[str, Sequence[str]]
) -> Iterator[list[FloorProcess]]:
    """One for each name, which imports those modules; each has a directory in `folder`."""
    with contextlib.ExitStack() as stack:
        processes = []
        for number, (name, modules) in enumerate(floors.items()):
            process = FloorProcess(name, folder / f"floor-{number}", modules)
            stack.callback(process.close)
            processes.append(process)
        yield processes


@contextlib.contextmanager
def bare_and_laden(folder: Path) -> Iterator[list[FloorProcess]]:
    """The bare floor, and the one that has imported what workers have."""
    names = {"bare fork": (), "fork, a worker's imports": WORKER_IMPORTS}
    with floor_processes(folder, names) as floors:
        yield floors
