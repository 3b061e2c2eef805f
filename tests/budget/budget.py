"""The budget as it is kept, and where to look for it."""

import json
from pathlib import Path

FILE = Path(__file__).with_name("budget.json")
COUNTED = "counted"
"""What the system was asked for; the same with every Python and every SQLite, or nearly so."""
INSTRUCTIONS = "instructions"
"""By build, then the same."""


def load():
    return json.loads(FILE.read_text()) if FILE.exists() else {COUNTED: {}, INSTRUCTIONS: {}}


def store(budget):
    FILE.write_text(json.dumps(budget, indent=1, sort_keys=True) + "\n")
