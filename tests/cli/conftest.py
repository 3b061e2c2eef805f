"""A project in a temporary folder, its journal, and two ways to run a command on it."""

import gzip
import io
import json
import os
import pty
import subprocess
import sys
import termios
from contextlib import ExitStack, chdir, closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from nerve.cli import main
from nerve.cli.program import program
from nerve.store.archive import _note_change
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.dayfile import COLUMNS, file_name, utc_day
from nerve.store.journal import Journal
from nerve.store.sqlite import open_owner
from nerve.store.state_dir import StateDir

AT_US = 1_795_222_998_318_013  # 2026-11-21T01:03:18.318013Z
CONFIG = """\
timezone: Europe/Berlin
senses:
  disk: {group: host}
  cpu-usage: {}
reflexes:
  - {kind: sense, sense: [disk, cpu-usage], interval: 10s}
  - {kind: sense, sense: cpu-usage, on: disk}
  - {kind: workflow, workflow: page-me, on: [disk]}
workflows:
  page-me: {overflow: queue}
"""
RUNNING = """\
timezone: Europe/Berlin
senses:
  calm: {}
reflexes:
  - {kind: sense, sense: calm, interval: 1s}
"""
QUIET_SENSE = '"""Looks at nothing."""\n\n\ndef compute(db, peers, ctx):\n    return None\n'


class Project:
    """A folder with nerve.yaml, and what a run would have left in it."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "nerve.yaml"
        self.state = StateDir(folder / "data")
        self.environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("NERVE_") and name != "NO_COLOR"
        }
        self.write("nerve.yaml", CONFIG)

    def write(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def sense(self, name, text=QUIET_SENSE):
        return self.write(f"senses/{name.replace('-', '_')}/__init__.py", text)

    def record(self, *entries, counts=()):
        """Commit entries to the journal as the parent would."""
        self.state.create()
        batch = Batch(entries=list(entries))
        for sense, outcome, number in counts:
            batch.count(sense, outcome, AT_US, number)
        journal = Journal(self.state.journal_path)
        ids = journal.commit(batch)
        journal.close()
        return ids

    def damage(self, statement):
        with closing(open_owner(self.state.journal_path, full_sync=False)) as raw:
            raw.execute(statement)

    def archive(self, *, until_id=2**62, compressed=False, delete=True):
        """Move the entries up to an id into files of their days, as the archive would."""
        with closing(open_owner(self.state.journal_path, full_sync=False)) as raw:
            for kind, columns in COLUMNS.items():
                (self.state.archive / kind).mkdir(exist_ok=True)
                query = f"SELECT {', '.join(columns)} FROM {kind} WHERE id <= ?"
                rows = [
                    dict(zip(columns, row, strict=True)) for row in raw.execute(query, (until_id,))
                ]
                for day in sorted({utc_day(row["at_us"]) for row in rows}):
                    of_day = [row for row in rows if utc_day(row["at_us"]) == day]
                    self._archive_day(raw, kind, day, of_day, compressed)
                if delete:
                    raw.execute(f"DELETE FROM {kind} WHERE id <= ?", (until_id,))

    def _archive_day(self, raw, kind, day, rows, compressed):
        name = file_name(kind, day, compressed=compressed)
        path = self.state.archive / name
        earlier = path.read_bytes() if path.exists() else b""
        earlier = gzip.decompress(earlier) if compressed and earlier else earlier
        lines = {json.loads(line)["id"]: line for line in earlier.splitlines(keepends=True)}
        for row in rows:
            values = {key: json.loads(row[key]) for key in ("payload", "cause") if key in row}
            lines[row["id"]] = json.dumps({**row, **values}).encode() + b"\n"
        content = b"".join(lines[entry_id] for entry_id in sorted(lines))
        content = gzip.compress(content) if compressed else content
        path.with_suffix(".new").write_bytes(content)
        path.with_suffix(".new").rename(path)
        day_row = (kind, day, name, min(lines), max(lines), len(lines), len(content), "")
        raw.execute(f"REPLACE INTO archives VALUES {day_row}")
        _note_change(raw)

    def sense_database(self, name, *statements):
        self.state.create()
        with closing(open_owner(self.state.sense_db(name), full_sync=False)) as raw:
            for statement in statements:
                raw.execute(statement)

    def nerve(self, *arguments, **options):
        """Run a command in this process."""
        runner = CliRunner(env={"NERVE_CONFIG": str(self.config), **options.pop("env", {})})
        return runner.invoke(program, list(arguments), prog_name="nerve", **options)

    def here(self, *arguments):
        """Run a whole command in this process, and keep its fork server: a second cheaper."""
        said = subprocess.CompletedProcess(arguments, 0)
        out, err = io.StringIO(), io.StringIO()
        with ExitStack() as stack:
            stack.enter_context(chdir(self.folder))
            stack.enter_context(mock.patch.dict(os.environ, self.environ, clear=True))
            stack.enter_context(mock.patch.object(sys, "argv", ["nerve", *arguments]))
            for command in ("check", "trial"):
                stack.enter_context(mock.patch(f"nerve.cli.{command}.shut_down"))
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            try:
                main()
            except SystemExit as ended:
                said.returncode = ended.code or 0
        said.stdout, said.stderr = out.getvalue(), err.getvalue()
        return said

    def process(self, *arguments, env=None, **options):
        """Run a command in a process of its own, and wait for it."""
        return subprocess.run(
            [sys.executable, "-m", "nerve", *arguments],
            cwd=self.folder,
            env={**self.environ, **(env or {})},
            text=True,
            timeout=60,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def json_lines():
    return lines_of


@pytest.fixture
def signal():
    numbers = iter(range(1, 10_000))

    def make(sense="disk", payload='{"summary": "22 % used"}', at_us=AT_US, cause="{}"):
        return SignalEntry(sense, "epoch", next(numbers), at_us, payload, cause)

    return make


@pytest.fixture
def log():
    def make(source="disk", type_="log", level="info", payload='{"message": "hello"}', **more):
        return LogEntry(more.get("at_us", AT_US), source, type_, level, more.get("ref"), payload)

    return make


@pytest.fixture
def background(project):
    """Start a command and leave it running; it is killed at the end of the test."""
    with ExitStack() as stack:

        def start(*arguments, **options):
            process = subprocess.Popen(
                [sys.executable, "-m", "nerve", *arguments],
                cwd=project.folder,
                env=project.environ,
                text=True,
                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def running(project, background):
    """A nerve that runs; it is there when its first sense has run."""
    project.write("nerve.yaml", RUNNING)
    project.sense("calm", "def compute(db, peers, ctx):\n    return {'summary': 'calm'}\n")
    process = background("run")
    for line in process.stdout:
        if "calm" in line and "signal" in line:
            break
    return project


@pytest.fixture
def on_terminal(project):
    """Run a command on a terminal of 80 columns; return the lines it shows there.

    With `talk=None` those of stderr are among them.
    """

    def run(*arguments, code=0, talk=subprocess.DEVNULL):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs if talk is None else talk}
        done = project.process(*arguments, env={"NO_COLOR": "1"}, **streams)
        os.close(theirs)
        assert done.returncode == code
        shown = b""
        with open(ours, "rb", buffering=0) as terminal, suppress(OSError):
            while part := terminal.read(65_536):
                shown += part
        return shown.decode().replace("\r\n", "\n").splitlines()

    run.project = project
    return run


@pytest.fixture(scope="session")
def checkout():
    return Path(__file__).parents[2]
