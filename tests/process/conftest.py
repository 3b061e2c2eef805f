"""Processes that do one thing, and are gone after the test."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nerve.process.tree import kill_tree

ROOT = Path(__file__).parents[2]


class Programs:
    """Python programs that were started and say a line when they have come so far."""

    def __init__(self):
        self._started = []

    def start(self, source, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._started.append(process)
        return process

    def say(self, source, *arguments):
        """Start one and wait for its line; return the process and the line."""
        process = self.start(source, *arguments)
        return process, process.stdout.readline().strip()

    def close(self):
        for process in self._started:
            if process.poll() is None:
                kill_tree(process.pid)
            process.wait(30)
            process.stdout.close()


@pytest.fixture
def programs():
    made = Programs()
    yield made
    made.close()
