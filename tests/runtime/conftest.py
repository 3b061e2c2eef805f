import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from nerve.testing import Running
from nerve.testing.running import sweep

ENTRY = Path(__file__).with_name("entry.py")
DIES_BETWEEN = """
import os, threading
from nerve.worker.reins import Reins

def die_between():
    # A thread that is left behind ends this worker when the compute is over and told. No timer:
    # on a busy machine it would fall upon a compute, and that sense would answer for it.
    over, end = threading.Event(), Reins.end
    def ended(*arguments):
        end(*arguments)
        over.set()
        threading.Event().wait(60)
    Reins.end = ended
    threading.Thread(target=lambda: over.wait() and os._exit(3)).start()

def compute(db, peers, ctx):
    die_between()
"""
"""Of a sense whose worker dies each time after its compute, and never during one."""


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
        sweep(self.state)


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    yield made
    made.close()
