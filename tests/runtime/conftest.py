import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

ENTRY = Path(__file__).with_name("entry.py")
PATIENCE_S = 30


class Running:
    """A nerve in a process of its own, and everything it has said."""

    def __init__(self, process):
        self.process = process
        self.said = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.said.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, condition, what="what was waited for", count=1):
        """Wait until `count` entries satisfy the condition; return them."""
        give_up = time.monotonic() + PATIENCE_S
        with self._news:
            while len(found := [e for e in self.said if condition(e)]) < count:
                ended = not self._reader.is_alive()
                if ended or not self._news.wait(give_up - time.monotonic()):
                    raise AssertionError(
                        f"{what} did not come ({'ended' if ended else 'timeout'}): {self.said[-8:]}, {self.errors()}"
                    )
            return found

    def signals(self, sense, count=1):
        return self.wait_for(
            lambda e: e["kind"] == "signal" and e["sense"] == sense, f"signal of {sense}", count
        )

    def log(self, type_, count=1, **fields):
        def fits(entry):
            return entry.get("type") == type_ and all(entry[k] == v for k, v in fields.items())

        return self.wait_for(fits, f"{type_} {fields}", count)

    def errors(self):
        if self.process.poll() is None:
            return ""
        return self.process.stderr.read() if not self.process.stderr.closed else ""

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self):
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Project:
    """A folder with nerve.yaml and senses."""

    def __init__(self, root):
        self.root = root
        self.running = []
        (root / "senses").mkdir(parents=True)

    @property
    def state(self):
        return self.root / "data"

    def sense(self, name, source, **revisions):
        """Write a sense; each of `revisions` is the body of an upgrade, in order."""
        folder = self.root / "senses" / name.replace("-", "_")
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(textwrap.dedent(source))
        previous = None
        for revision, body in revisions.items():
            (folder / "migrations").mkdir(exist_ok=True)
            (folder / "migrations" / f"{revision}.py").write_text(
                f"import sqlalchemy as sa\nfrom alembic import op\n"
                f"revision = {revision!r}\ndown_revision = {previous!r}\n"
                f"def upgrade():\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
                f"def downgrade():\n    pass\n"
            )
            previous = revision

    def config(self, text):
        (self.root / "nerve.yaml").write_text(textwrap.dedent(text))

    def start(self, *arguments, entry=ENTRY, before=(), **environment):
        process = subprocess.Popen(
            [*before, sys.executable, str(entry), *arguments],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "", **environment},
        )
        self.running.append(Running(process))
        return self.running[-1]

    def once(self, **environment):
        """Run every sense once, wait for the end, return what was said and the exit code."""
        running = self.start("--once", **environment)
        code = running.wait()
        return running.said, code

    def query(self, database, sql, *arguments):
        path = self.state / ("logs.db" if database == "logs" else f"senses/{database}.db")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
            return reader.execute(sql, arguments).fetchall()

    def close(self):
        for running in self.running:
            running.close()
        for link in self.state.glob("fork/nerve-fork-*"):  # the next start would remove it
            shutil.rmtree(link.resolve(), ignore_errors=True)


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    yield made
    made.close()
