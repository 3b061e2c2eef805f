"""Who waits for the disk: the worker, the caller, both, or nobody."""

from dataclasses import dataclass

NORMAL, FULL = "NORMAL", "FULL"
"""Values of SQLite's `synchronous` in WAL mode: a commit does not wait for the disk, or does."""


@dataclass(frozen=True, slots=True)
class Durability:
    """What is measured with which `synchronous` in the worker's and in the caller's database."""

    name: str
    worker: str
    caller: str


BOTH_NORMAL = Durability("NORMAL", NORMAL, NORMAL)
BOTH_FULL = Durability("FULL", FULL, FULL)
DEFAULT = Durability("default", NORMAL, FULL)
"""Nerve's own: a sense's database in NORMAL, its journal in FULL."""
DURABILITIES = (BOTH_NORMAL, BOTH_FULL, DEFAULT)
