"""The machine, as far as figures depend on it."""

import os
import platform
import sqlite3
from pathlib import Path

from benchmarks.figures import file_system


def describe_machine(folder: Path) -> dict[str, str]:
    """What the figures depend on; `folder` is where the databases will lie."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "processors": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "files on": file_system(folder),
    }
