"""What docs/operate.md says of backing up and restoring: its blocks, run as they stand there."""

import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from nerve.cli.tallies import FAILURES
from nerve.supervisor.states import WorkerState
from tests.docs.markdown import fenced
from tests.docs.references import ROOT
from tests.docs.walk import Walk

PAGE = ROOT / "docs/operate.md"
REVISION = """```python senses/{name}/migrations/0001_seen.py
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table("seen", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
```
"""
PROJECT = (
    """\
```yaml nerve.yaml
senses: {disk: {group: a}, ear: {group: b}}
reflexes:
  - {kind: sense, sense: disk, interval: 20ms}
  - {kind: sense, sense: ear, on: disk}
```
```python senses/disk/__init__.py
import sqlalchemy as sa


def compute(db, peers, ctx):
    n = 1 + db.scalar(sa.text("SELECT count(*) FROM seen"))
    db.execute(sa.text("INSERT INTO seen(n) VALUES (:n)"), {"n": n})
    return {"n": n}
```
```python senses/ear/__init__.py
import sqlalchemy as sa


def compute(db, peers, ctx):
    for signal in ctx.trigger.signals:
        db.execute(sa.text("INSERT INTO seen(n) VALUES (:n)"), {"n": signal.payload["n"]})
```
"""
    + REVISION.format(name="disk")
    + REVISION.format(name="ear")
)
RUN = """\
<!-- another each time: TIME -->
```console first terminal
$ nerve run
...
TIME  disk  n=10
```
"""


def block(section, number=0):
    """Return a block of the page as commands to be walked through, but for those of nerve itself."""
    _, _, rest = PAGE.read_text().partition(f"\n## {section}\n")
    lines = fenced(rest.partition("\n## ")[0], "sh")[number].rstrip()
    kept = "\n".join(line for line in lines.splitlines() if not line.startswith("nerve "))
    return console(kept)


def console(command, *shown):
    return "\n".join(["```console", "$ " + command.replace("\n", "\n> "), *shown, "```", ""])


def numbers(folder, path, query="SELECT n FROM seen ORDER BY n"):
    with closing(sqlite3.connect(f"file:{folder / path}?mode=ro", uri=True)) as reader:
        return [n for (n,) in reader.execute(query)]


def numbers_told(folder):
    query = "SELECT json_extract(payload, '$.n') FROM signals WHERE sense = 'disk' ORDER BY id"
    return numbers(folder, "data/logs.db", query)


PAUSE = """\
```console
$ nerve pause a b --reason backup
$ while nerve status --json | grep -q '"phase": "running"'; do :; done
```
"""
ONCE = console("nerve run --once > said 2>&1")


@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("sqlite3"), reason="the page uses the command sqlite3")
def test_a_copy_of_a_running_nerve_is_restored_whole_or_for_one_sense(tmp_path):
    with Walk(tmp_path) as walk:
        walk.through(
            PROJECT + RUN + PAUSE + block("Back up") + console("nerve resume a b; nerve stop")
        )
        walk.through(block("Restore") + console("nerve resume a b") + ONCE)
        kept = numbers(tmp_path, "data/senses/disk.db")
        assert kept == list(range(1, len(kept) + 1))
        assert kept == numbers_told(tmp_path) == numbers(tmp_path, "data/senses/ear.db")

        walk.through(block("Restore", 1) + ONCE)
        assert "is older than what was recorded of it" in (tmp_path / "said").read_text()
        told = numbers_told(tmp_path)
        assert len(told) == len(kept) + 1  # counted anew: the last number has been told twice
        assert sorted(told) == numbers(tmp_path, "data/senses/ear.db")


def test_every_word_of_status_is_explained():
    page = PAGE.read_text().partition("## Reading `nerve status`")[2].partition("\n## ")[0]
    needs = re.findall(
        r'Need\(Rank\.\w+, "(\w+)"', (ROOT / "nerve/cli/status/needs.py").read_text()
    )
    assert len(needs) > 8
    for word in {*needs, *FAILURES, *WorkerState}:
        assert f"`{word}`" in page, word
