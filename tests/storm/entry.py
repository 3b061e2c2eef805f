"""`nerve run` for the storm: the limits that end a storm are lifted, and nothing is printed.

A group is never fatal, a sense never quarantined, no signal given up, no rest longer than a
moment: whatever is killed comes back, and has to agree.
"""

import os
import sys
from pathlib import Path

from nerve import app
from nerve.config import load_config
from nerve.errors import NerveError

ENDLESS = 10**6
MOMENT_S = 0.02


class _Always:
    """A sequence that has the same everywhere."""

    def __getitem__(self, index):
        return MOMENT_S

    def __len__(self):
        return ENDLESS


LIFTED = {
    "MAX_DEATHS": ENDLESS,
    "DEATHS_WINDOW_S": 0.0,
    "BACKOFF_MAX_S": MOMENT_S,
    "MAX_STRIKES": ENDLESS,
    "RESTS_S": _Always(),
    "LOAD_REST_S": MOMENT_S,
    "MAX_ATTEMPTS": ENDLESS,
}
"""Constants of the parent, whichever of its modules hold them."""


def lift(name, value):
    """Give a constant another value wherever it was imported to; it has to be somewhere."""
    parts = [m for n, m in list(sys.modules.items()) if n.startswith("nerve.") and hasattr(m, name)]
    if not parts:
        raise LookupError(f"no module of nerve has a {name}: the storm would be cut short")
    for part in parts:
        setattr(part, name, value)


def main():
    for name, value in LIFTED.items():
        lift(name, value)
    try:
        loaded = load_config(Path("nerve.yaml"), environ=os.environ)
        code, _ = app.run(loaded, once="--once" in sys.argv, observe=lambda *_: None)
    except NerveError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    sys.exit(int(code))


if __name__ == "__main__":
    main()
