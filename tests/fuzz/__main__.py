"""Frames from the command line; exit code 1 where there was a fault."""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.fuzz import at_control, at_parent, at_worker

SIDES = {"control": at_control.strike, "worker": at_worker.strike, "parent": at_parent.strike}
MAX_SEED = 1 << 32


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="for each side")
    parser.add_argument("--seed", type=int, help="the same one gives the same frames")
    parser.add_argument("--side", choices=SIDES, action="append", help="only this one")
    arguments = parser.parse_args()
    seed = random.randrange(MAX_SEED) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="nerve-fuzz-"))
    faults = 0
    for side in arguments.side or SIDES:
        figures = SIDES[side](folder / side, seed, arguments.frames)
        print(figures, flush=True)
        faults += len(figures.faults)
    if faults:
        print(f"kept {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
