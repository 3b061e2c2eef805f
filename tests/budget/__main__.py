"""`make budget`: count all there is to count, say what has moved, and write it down."""

import sys
import tempfile
from pathlib import Path

from tests.budget import budget, counting, instructions
from tests.budget.comparing import differences, renewed
from tests.budget.tracing import Refused

PATIENCE_S = 300


def main():
    kept = budget.load()
    with tempfile.TemporaryDirectory(prefix="nerve-budget-") as folder:
        try:
            figures = counting.count_in(made(folder, "counted"), PATIENCE_S)
            take(kept, budget.COUNTED, figures)
            instructions.require()
            parent = instructions.of_the_parent(made(folder, "parent"))
            worker = instructions.of_the_worker(made(folder, "worker"))
            figures = {kind: parent[kind] | worker[kind] for kind in parent}
            take(kept[budget.INSTRUCTIONS], instructions.build(), figures)
        except Refused as error:
            print(f"the rest is left as it was: {error}")
    budget.store(kept)
    print(budget.FILE)
    return 0


def made(folder, name):
    path = Path(folder) / name
    path.mkdir()
    return path


def take(budgets, name, figures):
    """Put figures in the place of a budget."""
    before = budgets.get(name, {})
    for line in differences(before, figures) if before else [f"{name}: counted for the first time"]:
        print(line)
    budgets[name] = renewed(before, figures)


if __name__ == "__main__":
    sys.exit(main())
