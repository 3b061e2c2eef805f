"""The author's kit: a sense in a test, without everything around it.

Whoever tests; nothing that runs imports this, `nerve test` apart, which shares its worker.
With pytest installed beside nerve the fixtures are there of themselves (`nerve.testing.plugin`):

    sense               runs a sense in the test's own process, on a clock that the test moves
    sense_in_worker     the same in a real worker, which may hang, crash and use up its memory
    whole_nerve         `nerve run` on the project, in a process of its own, its state elsewhere
    check_migrations    holds a sense's migrations against rows, foreign keys and its `metadata`

The names here are for annotations and for those who use no fixtures. They are loaded at first
use, so that pytest starts as quickly as without nerve.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nerve.testing.clock import StoppedClock
    from nerve.testing.in_process import SenseInProcess
    from nerve.testing.in_worker import SenseInWorker
    from nerve.testing.migrating import MigrationsAtFault, check_migrations
    from nerve.testing.results import ComputeFailed, Failure, LogLine, Result
    from nerve.testing.running import Running
    from nerve.testing.whole import WholeNerve

_HOMES = {
    "ComputeFailed": "results",
    "Failure": "results",
    "LogLine": "results",
    "MigrationsAtFault": "migrating",
    "Result": "results",
    "Running": "running",
    "SenseInProcess": "in_process",
    "SenseInWorker": "in_worker",
    "StoppedClock": "clock",
    "WholeNerve": "whole",
    "check_migrations": "migrating",
}

__all__ = [
    "ComputeFailed",
    "Failure",
    "LogLine",
    "MigrationsAtFault",
    "Result",
    "Running",
    "SenseInProcess",
    "SenseInWorker",
    "StoppedClock",
    "WholeNerve",
    "check_migrations",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'nerve.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nerve.testing.{_HOMES[name]}"), name)
