import os
import threading
from pathlib import Path

import pytest

from nerve.logs import RecordEvents, RecordsOf
from nerve.process.launch import launch, prepare
from nerve.process.tree import kill_tree
from nerve.supervisor.preparation import PRELOAD

PATIENCE_S = 30


class Heard:
    """The parent's end of one log pipe, and what came out of it."""

    def __init__(self, **more):
        self.messages = []
        self.left_out = 0
        self.broken = []
        self._news = threading.Condition()
        events = RecordEvents(record=self._record, left_out=self._count, broken=self._break)
        self.records = RecordsOf("test", events, **more)

    def _record(self, record):
        with self._news:
            self.messages.append(record.getMessage())
            self._news.notify_all()

    def _count(self, left_out):
        self.left_out += left_out

    def _break(self, why):
        with self._news:
            self.broken.append(why)
            self._news.notify_all()

    def wait_for(self, condition):
        with self._news:
            assert self._news.wait_for(lambda: condition(self), PATIENCE_S), self.messages[-5:]

    @property
    def thread(self):
        return self.records._handler._receive_thread

    def write(self, chunk):
        """Write into the pipe as a sense can."""
        os.write(self.records.queue.connection.fileno(), chunk)


class Chatting:
    """A worker that runs a function of `chatter`."""

    def __init__(self, function, **more):
        self.heard = Heard(**more)
        queue = self.heard.records.queue
        self.launched = launch(function, f"chatter:{function}", queue)
        self.heard.records.started()

    def wait(self):
        self.launched.process.join(PATIENCE_S)
        return self.launched.process.exitcode

    def close(self):
        """End it as its supervisor would."""
        kill_tree(self.launched.pid)
        self.wait()
        self.heard.records.take_rest()
        self.heard.records.close()
        self.launched.process.close()
        self.launched.channel.close()
        os.close(self.launched.stdout)
        os.close(self.launched.stderr)


@pytest.fixture
def chat(monkeypatch):
    """Start workers; all of them are gone in the end."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    prepare(PRELOAD)
    return Chatting


@pytest.fixture
def heard():
    made = Heard()
    yield made
    made.records.close()
    assert not made.thread.is_alive()
