"""A control socket on a loop of its own, in a thread; only what is asked for is made up."""

import asyncio
import json
import threading
import time

from nerve.clock import SystemClock
from nerve.process.listening import reach
from nerve.supervisor.answers import done
from nerve.supervisor.control import Control

PATIENCE_S = 30


class Clock(SystemClock):
    """The machine's, but no second passes that a test does not add."""

    def __init__(self):
        self._now_s = super().monotonic()

    def monotonic(self):
        return self._now_s

    def advance(self, seconds):
        self._now_s += seconds


class Served:
    """A control socket on a loop of its own, in a thread."""

    def __init__(self, path):
        self.path = path
        self.clock = Clock()
        self.logged = []
        self.answers = []
        self.closed = threading.Event()
        self.handlers = {
            "status": lambda _, answer: done(answer, "well", **answer.by),
            "archive": self._keep,
            "reload": self._fail,
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.control = self.on_loop(self._begin)

    def _begin(self):
        made = Control(self.path, self.handlers, log=self._log, clock=self.clock, newest_id=7)
        made.begin()
        return made

    def _log(self, *row):
        self.logged.append(row)

    def _keep(self, _, answer):
        self.answers.append(answer)
        answer.on_close(self.closed.set)
        answer.progress("it has begun")

    def _fail(self, _, answer):
        raise RuntimeError("a broken operation")

    def on_loop(self, act):
        async def run():
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE_S)

    def advance(self, seconds):
        """Let so many seconds pass, between two turns of the loop: a reply is out before its
        connection has noted when that was."""
        self.on_loop(lambda: self.clock.advance(seconds))

    def wait_until(self, condition):
        give_up = time.monotonic() + PATIENCE_S
        while not self.on_loop(condition):
            assert time.monotonic() < give_up

    def client(self):
        return Client(reach(self.path, PATIENCE_S))

    def types(self):
        return [row[1] for row in self.logged]

    def end(self):
        self.on_loop(self.control.end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


class Client:
    def __init__(self, connected):
        self.socket = connected
        self._file = connected.makefile("rb")

    def send(self, *requests):
        for request in requests:
            line = request if isinstance(request, bytes) else json.dumps(request).encode()
            self.socket.sendall(line + b"\n")

    def reply(self):
        line = self._file.readline()
        return json.loads(line) if line else None

    def ask(self, request):
        self.send(request)
        return self.reply()

    def close(self):
        self._file.close()
        self.socket.close()
