"""A whole nerve: `nerve run` on a project, its state in a folder that the test was given.

Tests. Nothing is imported or patched: it is the program that runs in earnest, with the project's
nerve.yaml or another one in its place.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nerve.config.whereabouts import CONFIG_VARIABLE, STATE_DIR_VARIABLE
from nerve.testing.running import PATIENCE_S, Running, sweep
from nerve.testing.scene import CONFIG_NAME
from nerve.testing.tables import ask


class WholeNerve:
    """A project that is run; call it to start it.

    Attributes:
        state: the state directory, with logs.db and senses/.
    """

    def __init__(self, project: Path, folder: Path) -> None:
        self.state = folder / "data"
        self._project = project
        self._config = project / CONFIG_NAME
        self._running: list[Running] = []

    def __call__(self, *arguments: str, config: Mapping[str, Any] | None = None) -> Running:
        """Start `nerve run`.

        Args:
            arguments: more of its command line, e.g. `--set`, `reflexes=[...]`.
            config: takes the place of nerve.yaml; keys and values are written as there.
        """
        if config is not None:
            self._config = self._write(config)
        process = subprocess.Popen(
            [sys.executable, "-m", "nerve", "run", "--json", *arguments],
            cwd=self._project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environ(),
        )
        self._running.append(Running(process))
        return self._running[-1]

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run another command of nerve on the same project and state, and wait for its end."""
        return subprocess.run(
            [sys.executable, "-m", "nerve", *arguments],
            cwd=self._project,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env=self._environ(),
        )

    def query(self, sense: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask a sense's database, or `logs`, in SQL, read-only."""
        file = "logs.db" if sense == "logs" else f"senses/{sense}.db"
        return ask(self.state / file, sql, values)

    def close(self) -> None:
        """End whatever still runs."""
        for running in self._running:
            running.close()
        sweep(self.state)

    def _environ(self) -> dict[str, str]:
        ours = {CONFIG_VARIABLE: str(self._config), STATE_DIR_VARIABLE: str(self.state)}
        return {**os.environ, **ours}

    def _write(self, config: Mapping[str, Any]) -> Path:
        file = self.state.parent / CONFIG_NAME
        file.write_text(json.dumps(config))
        beside = file.parent / "senses"  # where they are looked for
        if not beside.is_symlink():
            beside.symlink_to(self._project / "senses")
        return file
