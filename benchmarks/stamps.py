"""Stamps of time in a worker, for the spans of a replacement.

Named last in the fork server's preload, by `spans` alone: there it wraps functions of nerve,
and each worker that is forked notes when it passes them. The worker writes its notes to the
file that STAMPS names, once it has said that it is ready. Times are of the monotonic
clock in nanoseconds, which is the same in every process.
"""

import functools
import importlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

STAMPS = "NERVE_BENCH_STAMPS"
BEGIN, END = "begin", "end"

Passage = tuple[str, str, str, str]
"""Module, dotted name in it, BEGIN or END, and what is over when it is passed."""
IN_WORKER: Sequence[Passage] = (
    ("nerve.worker.main", "_serve", BEGIN, "specification read"),
    ("nerve.worker.main", "settle", END, "settled"),
    ("nerve.worker.main", "Reins.take_up", END, "reins taken: slate, stack dumps"),
    ("nerve.worker.limits", "apply", END, "limits set"),
    ("nerve.worker.main", "send_records_to", END, "logging prepared"),
    ("nerve.worker.main", "Worker.boot", BEGIN, "the rest of the worker"),
    ("nerve.worker.arrival", "load", END, "the sense found and imported"),
    ("nerve.worker.resident", "open_owner", END, "database opened"),
    ("nerve.worker.resident", "core_connection", END, "SQLAlchemy over it"),
    ("nerve.worker.resident", "upgrade", END, "migrations seen to be at head"),
    ("nerve.worker.arrival", "Arrival._report", END, "outbox and positions read"),
    ("nerve.worker.main", "Worker.boot", END, "ready said"),
)

_notes: list[tuple[str, int]] = []


def wrap(passage: Passage, note: Callable[[str, int], None]) -> None:
    """Have `note` called with the label and the time; raises AttributeError for a wrong name."""
    module, path, moment, label = passage
    *above, name = path.split(".")
    owner: Any = functools.reduce(getattr, above, importlib.import_module(module))
    original = getattr(owner, name)

    @functools.wraps(original)
    def stamped(*arguments: Any, **named: Any) -> Any:
        if moment == BEGIN:
            note(label, time.monotonic_ns())
        result = original(*arguments, **named)
        if moment == END:
            note(label, time.monotonic_ns())
        return result

    setattr(owner, name, stamped)


def _note(label: str, at_ns: int) -> None:
    _notes.append((label, at_ns))
    if label == IN_WORKER[-1][-1]:
        unfinished = Path(os.environ[STAMPS] + ".unfinished")
        unfinished.write_text(json.dumps(_notes))
        unfinished.rename(os.environ[STAMPS])


def _forked() -> None:
    _notes[:] = [("forked", time.monotonic_ns())]


if STAMPS in os.environ:
    for one in IN_WORKER:
        wrap(one, _note)
    os.register_at_fork(after_in_child=_forked)
