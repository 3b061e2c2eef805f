"""`nerve run` for the budget: says who works where, and runs computes when it is told to.

On standard input come lines `SENSE LAST COUNT`: trigger SENSE so many times, each once the last
compute of LAST has ended. Each is answered by a line of JSON: the frames and bytes that went over
the channels meanwhile. The loop stands still while it
waits for the next line, so nothing of nerve's runs then. The end of the input is the end of nerve.

What comes by the clock and not by the compute is lifted, as are checkpoints, which come by the
size of a WAL: the frames that lead to them are counted. Statements and frames are noted
with `--watched` alone, as that costs instructions.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path

from nerve import app
from nerve.config import load_config
from nerve.reflex.causes import Cause
from nerve.sense import TriggerKind
from nerve.store import journal_file
from nerve.store.batch import SignalEntry
from nerve.supervisor.supervisor import Supervisor
from nerve.wire.channel import Channel
from nerve.wire.framing import encode
from tests.budget.project import SILENT_SENSE, STATEMENTS
from tests.budget.statements import Statements
from tests.storm.entry import lift

traffic: Counter[str] = Counter()
"""Frames and bytes over all channels since the last answer."""

NEVER_S = 1e6
NEVER_PAGES = 10**9
BY_THE_CLOCK = (
    "ACKNOWLEDGE_WITHIN_S",
    "BUSY_LOOK_S",
    "COUNTS_EVERY_S",
    "FIRST_AFTER_S",
    "REPLENISH_AFTER_S",
    "SETTLE_EVERY_S",
    "STATE_CHECK_EVERY_S",
)
BY_THE_SIZE = ("CHECKPOINT_PAGES",)
PATIENCE = ("GATE_PATIENCE_S", "LAUNCH_TIMEOUT_S", "BOOT_TIMEOUT_S")
"""Which a crowded machine must not use up."""


class Driven(Supervisor):
    """A supervisor that triggers its senses as it is told."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named, observe=self._see)
        self._coming_up = set(self._groups)
        self._last, self._left = "", 0

    def came_up(self, name, ready):
        super().came_up(name, ready)
        self._coming_up.discard(name)
        if not self._coming_up:
            pids = (f"{name}={group.worker_pid}" for name, group in self._groups.items())
            say(f"parent={os.getpid()} {' '.join(pids)}")
            self._next_order()

    def _next_order(self):
        words = sys.stdin.readline().split()
        if not words:
            self.request_stop("all is counted")
            return
        self._triggered, self._last, self._left = words[0], words[1], int(words[2])
        self._trigger()

    def _trigger(self):
        self._left -= 1
        self.triggers.offer(self._triggered, Cause(TriggerKind.MANUAL))

    def absolve(self, sense):
        super().absolve(sense)
        if sense == self._last == SILENT_SENSE:
            self._go_on()

    def _see(self, _id, entry):
        if isinstance(entry, SignalEntry):
            if entry.sense == self._last:
                self._go_on()
        elif entry.level == "error":
            sys.exit(f"{entry}")

    def _go_on(self):
        # Not at once: nerve acknowledges first, as it would before the next tick.
        loop = asyncio.get_running_loop()
        if self._left:
            loop.call_soon(self._trigger)
        else:
            loop.call_soon(loop.call_soon, self._report)

    def _report(self):
        say(json.dumps(traffic))
        traffic.clear()
        self._next_order()


def say(line):
    os.write(sys.stdout.fileno(), f"{line}\n".encode())  # in one call: it ends what is counted


def watched(open_owner):
    def open_watched(path, **more):
        raw = open_owner(path, **more)
        raw.execute("PRAGMA wal_autocheckpoint=0")
        raw.set_trace_callback(Statements(Path(STATEMENTS.format(path.stem))).note)
        return raw

    return open_watched


def counted_sending(send):
    def send_counted(channel, body):
        traffic.update({"frames down": 1, "bytes down": len(encode(body))})
        return send(channel, body)

    return send_counted


def counted_receiving(receive):
    def receive_counted(channel):
        for body in receive(channel):
            traffic.update({"frames up": 1, "bytes up": len(encode(body))})
            yield body

    return receive_counted


def main():
    for name in (*BY_THE_CLOCK, *PATIENCE):
        lift(name, NEVER_S)
    for name in BY_THE_SIZE:
        lift(name, NEVER_PAGES)
    if "--watched" in sys.argv:
        journal_file.open_owner = watched(journal_file.open_owner)
        Channel.send = counted_sending(Channel.send)
        Channel.receive = counted_receiving(Channel.receive)
    app.Supervisor = lambda *given, observe, **named: Driven(*given, **named)
    loaded = load_config(Path("nerve.yaml"), environ=os.environ)
    code, _ = app.run(loaded, once=False, observe=None)
    sys.exit(int(code))


if __name__ == "__main__":
    main()
