"""Real state directories, real databases; every connection is closed at the end."""

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import ExitStack

import pytest

from nerve.store.sqlite import open_owner, open_reader
from nerve.store.state_dir import StateDir


@pytest.fixture
def state(tmp_path):
    state = StateDir(tmp_path / "state")
    state.create()
    return state


@pytest.fixture
def closing():
    """Register connections to be closed when the test ends."""
    with ExitStack() as stack:
        yield lambda connection: (stack.callback(connection.close), connection)[1]


@pytest.fixture
def owner(tmp_path, closing):
    def open_one(name="own.db", **options):
        return closing(open_owner(tmp_path / name, **{"full_sync": False, **options}))

    return open_one


@pytest.fixture
def reader(tmp_path, closing):
    return lambda name="own.db": closing(open_reader(tmp_path / name))


@pytest.fixture
def revise(tmp_path):
    """Write a revision file; return the folder."""
    folder = tmp_path / "migrations"

    def write(revision, down, body, imports=""):
        folder.mkdir(exist_ok=True)
        head = f"import sqlalchemy as sa\nfrom alembic import op\n{imports}\n"
        ids = f"revision = {revision!r}\ndown_revision = {down!r}\n"
        upgrade = "def upgrade():\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")
        (folder / f"{revision}_test.py").write_text(f"{head}{ids}{upgrade}\n")
        return folder

    return write


@pytest.fixture
def elsewhere():
    """Start another Python process; its lines of output come one by one, its input ends it."""
    started = []

    def start(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def without_privileges(tmp_path, elsewhere):
    """Run an expression over `path` in a process that is not root; return what it raised."""
    code = """
        import os, sys
        from pathlib import Path
        from nerve.store.sqlite import open_owner, open_reader
        from nerve.store.state_dir import StateDir
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            eval(sys.argv[1], globals(), {"path": Path(sys.argv[2])})
            print("nothing")
        except BaseException as error:
            print(type(error).__name__)
    """
    # The directories above belong to root alone where the tests run as root.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o711)
    return lambda expression, path: elsewhere(code, expression, path).communicate()[0].strip()


@pytest.fixture
def tables():
    def names(raw: sqlite3.Connection) -> set[str]:
        rows = raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {name for (name,) in rows if not name.startswith("sqlite_")}

    return names
