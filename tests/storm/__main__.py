"""A storm from the command line; exit code 1 when anything disagrees."""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.storm.plan import blows
from tests.storm.storm import rage

MAX_SEED = 1 << 32


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, help="the same one gives the same blows")
    parser.add_argument("--hands", action="store_true", help="operators have theirs in it")
    arguments = parser.parse_args()
    seed = random.randrange(MAX_SEED) if arguments.seed is None else arguments.seed
    print(f"seed           {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="nerve-storm-"))
    hands = seed if arguments.hands else None
    outcome = rage(folder / "project", blows(seed, arguments.kills), hands)
    print(outcome)
    if outcome.disagreements:
        print(f"kept           {folder / 'project'}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
