"""`nerve run` for tests: says every recorded entry as a JSON line, and may kill itself.

KILL_PARENT names a point in the parent, e.g. `commit:before`; the process kills itself there
with SIGKILL the first time it comes by after the file `armed` appeared in the project.
"""

import json
import os
import signal
import sys
from pathlib import Path

from nerve import app
from nerve.clock import rfc3339
from nerve.config import load_config
from nerve.errors import NerveError
from nerve.store.batch import SignalEntry
from nerve.store.journal import Journal
from nerve.supervisor import (
    bounds,
    conduct,
    herald,
    housekeeping,
    lookout,
    stopping,
    timekeeping,
)
from nerve.supervisor.group import Group
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.switching import Switching

POINTS = {
    "report": (Ledger, "take_signal"),
    "commit": (Journal, "commit"),
    "acknowledge": (Group, "acknowledge"),
    "switch": (Switching, "switch"),
    "take-over": (Group, "take_over"),
    "let-go": (Switching, "let_go"),
}


def observe(entry_id, entry):
    said = {"id": entry_id, "at": rfc3339(entry.at_us), "payload": json.loads(entry.payload)}
    if isinstance(entry, SignalEntry):
        said |= {"kind": "signal", "sense": entry.sense, "cause": json.loads(entry.cause)}
    else:
        said |= {
            "kind": "log",
            "source": entry.source,
            "type": entry.type,
            "level": entry.level,
            "ref": entry.ref,
        }
    print(json.dumps(said), flush=True)


def kill_at(point):
    name, when = point.split(":")
    owner, method = POINTS[name]
    original = getattr(owner, method)

    def strike():
        if Path("armed").exists():
            Path("armed").unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def struck(*arguments, **named):
        concerns = name != "commit" or any(isinstance(e, SignalEntry) for e in arguments[1].entries)
        if when == "before" and concerns:
            strike()
        result = original(*arguments, **named)
        if when == "after" and concerns:
            strike()
        return result

    setattr(owner, method, struck)


def main():
    if point := os.environ.get("KILL_PARENT"):
        kill_at(point)
    owners = {
        "GATE_PATIENCE_S": bounds,
        "HELD_UP_S": timekeeping,
        "HURRY_AFTER_S": stopping,
        "STATE_CHECK_EVERY_S": lookout,
        "STUCK_AFTER_S": herald,
    }
    for limit, owner in owners.items():
        if limit in os.environ:
            setattr(owner, limit, float(os.environ[limit]))
    for limit in ("FIRST_AFTER_S", "EVERY_S", "RETRY_FIRST_S"):
        if limit in os.environ:
            setattr(housekeeping, limit, float(os.environ[limit]))
    if "RESTS_S" in os.environ:
        conduct.RESTS_S = (float(os.environ["RESTS_S"]),) * len(conduct.RESTS_S)
    try:
        loaded = load_config(Path("nerve.yaml"), environ=os.environ)
        code, _ = app.run(loaded, once="--once" in sys.argv, observe=observe)
    except NerveError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    sys.exit(int(code))


if __name__ == "__main__":
    main()
