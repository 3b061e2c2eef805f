"""What a worker prints and logs, on its way into the journal.

Parent, on the loop. A line is put down to the sense that was running when it came, or to
the group when none was: a thread or child left behind may print at any time.
"""

import logging

from nerve.supervisor.ledger import Ledger


class Voice:
    """One group's output and log records."""

    def __init__(self, group: str, ledger: Ledger) -> None:
        self._group = group
        self._ledger = ledger

    def printed(self, sense: str | None, stream: str, lines: list[str], left_out: int) -> None:
        """Log what arrived on `stdout` or `stderr`, and how many lines a flood has lost."""
        source = sense or self._group
        for line in lines:
            self._ledger.log(source, "output", "info", {"stream": stream, "text": line})
        if left_out:
            message = f"{left_out} lines left out"
            payload = {"stream": stream, "left_out": left_out, "message": message}
            self._ledger.log(source, "output.left_out", "warning", payload)

    def record(self, record: logging.LogRecord) -> None:
        """Log a record of the worker's."""
        source = record.name.removeprefix("sense.")
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        trigger_id = getattr(record, "trigger_id", None)
        ref = self._ledger.trigger_ref(trigger_id) if isinstance(trigger_id, int) else None
        self._ledger.log(source, "log", level, {"message": record.getMessage()}, ref=ref)

    def records_left_out(self, left_out: int) -> None:
        """Log how many log records were over the rate."""
        message = f"{left_out} log records left out"
        self._ledger.log(self._group, "log.left_out", "warning", {"message": message})

    def records_broken(self, why: str) -> None:
        """Log that no more log records of this worker are read."""
        message = f"its log records are lost from here on: {why}"
        hint = "a sense writes into descriptors that are not its own"
        self._ledger.log(self._group, "log.broken", "error", {"message": message, "hint": hint})

    def left_behind(self, killed: int) -> None:
        """Log that a dead worker had left processes behind."""
        message = f"processes that dead workers left behind were killed: {killed}"
        self._ledger.log(self._group, "worker.left_behind", "warning", {"message": message})
