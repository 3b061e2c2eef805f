"""The log store: rows in, rows out, and rows to the archive, each beside a floor.

    .venv/bin/python benchmarks/log_store.py [--rows 1000000] [--json]

Nothing here judges. README.md says what is measured and what may be compared.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks import log_appends, log_archive, log_filters
from benchmarks.figures import Figure
from benchmarks.log_rows import BATCH_ROWS
from benchmarks.machine import describe_machine
from benchmarks.report import as_json, as_text
from nerve.config import load_config
from nerve.process.kernel import become_subreaper
from nerve.process.launch import shut_down
from nerve.store.state_dir import StateDir

ROWS = 1_000_000
LEAST_ROWS = 10_000


def measure(folder: Path, rows: int) -> list[Figure]:
    """Measure everything; all that is written lies in `folder`."""
    (folder / "nerve.yaml").write_text("senses: {}\n")
    loaded = load_config(folder / "nerve.yaml", environ={})
    state = StateDir(loaded.state_dir)
    state.create()
    journal = state.journal_path
    figures = log_appends.measure(folder, journal, rows)
    figures += log_filters.measure(loaded)
    for compress in ("none", "gzip"):
        archived = log_archive.make(folder / compress, journal, compress)
        floor = folder / f"plain-{compress}.db"
        shutil.copyfile(journal, floor)
        figures += log_archive.measure(archived, floor)
        figures += log_filters.measure_archived(archived)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="how many log rows")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = max(LEAST_ROWS, arguments.rows) // BATCH_ROWS * BATCH_ROWS
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        machine = {**describe_machine(Path(name)), "rows": f"{rows:,}"}
        become_subreaper()
        try:
            figures = measure(Path(name), rows)
        finally:
            shut_down()
    print((as_json if arguments.json else as_text)(machine, figures))


if __name__ == "__main__":
    main()
