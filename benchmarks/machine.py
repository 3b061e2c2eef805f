"""The machine, as far as figures depend on it."""

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from importlib import metadata
from pathlib import Path

import psutil

from benchmarks.figures import file_system
from benchmarks.placement import Placement

SYNCS = 50
SYNCED_BYTES = 4096
NS_PER_MS = 1_000_000
BYTES_PER_GIB = 1024**3
GIT_TIMEOUT_S = 10.0
UNKNOWN = "unknown"


def describe_machine(folder: Path) -> dict[str, str]:
    """What the figures depend on; `folder` is where the databases will lie."""
    return {
        "nerve": nerve_version(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "processor": processor_model(Path("/proc/cpuinfo").read_text()),
        "processors": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / BYTES_PER_GIB:.0f} GiB",
        "files on": file_system(folder),
        "sync": f"{sync_ms(folder):.2f} ms",
        "placement": Placement.chosen().value,
        "load": load(),
    }


def load() -> str:
    """How many processes wanted to run, in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def nerve_version() -> str:
    """The version, and the commit where this is a checkout; a plus says that files differ."""
    commands = (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    try:
        commit, changes = (_git(*command) for command in commands)
    except (OSError, subprocess.SubprocessError):
        return metadata.version("nerve")
    return f"{metadata.version('nerve')} at {commit}{'+' if changes else ''}"


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=GIT_TIMEOUT_S
    )
    return done.stdout.strip()


def processor_model(cpuinfo: str) -> str:
    """What /proc/cpuinfo calls it; not every architecture does."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine() or UNKNOWN


def sync_ms(folder: Path) -> float:
    """The median time of a sync of 4 KiB that are written over."""
    times = []
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(SYNCS):
            os.pwrite(file, os.urandom(SYNCED_BYTES), 0)
            began = time.perf_counter_ns()
            os.fdatasync(file)
            times.append((time.perf_counter_ns() - began) / NS_PER_MS)
    finally:
        os.close(file)
    return statistics.median(times)


def short_name() -> str:
    """The machine's, for the name of a file."""
    return platform.node().partition(".")[0].lower() or UNKNOWN
