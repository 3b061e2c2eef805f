"""A state directory, its journal and its archive; time is what a test says."""

import gzip
import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from nerve.clock import SystemClock
from nerve.config.models import RetentionConfig
from nerve.store.archive import Archive
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.dayfile import COLUMNS, archived_days
from nerve.store.daywriter import write_days
from nerve.store.due import DAY_US, due_at
from nerve.store.journal import Journal
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir
from nerve.supervisor.archiving import Outcome, archive

DAY = 20_000
"""A day, counted from 1970: 2024-10-04."""
NOW_US = DAY * DAY_US + DAY_US // 2


def days_ago(days, us=0):
    """A time in the middle of a day, so many days before the one that NOW_US is in."""
    return NOW_US - days * DAY_US + us


class Kept:
    """What an installation keeps."""

    def __init__(self, root):
        self.state = StateDir(root)
        self.state.create()
        self.told = []

    def record(self, *entries, cursors=()):
        with closing(Journal(self.state.journal_path)) as journal:
            return journal.commit(Batch(list(entries), cursors=dict(cursors)))

    def change(self, statement, *arguments):
        """Do to logs.db what nerve would not."""
        with closing(Journal(self.state.journal_path)) as journal:
            journal.perform(lambda raw: raw.execute(statement, arguments))

    def archive(
        self,
        now_us=NOW_US,
        *,
        pairs=(),
        wrapped=lambda days: days,
        do=lambda perform: perform,
        tell=None,
        clock=SystemClock(),  # noqa: B008  it has no state
        **retention,
    ):
        """Do a run as `nerve archive` does, by default of what is older than a day.

        `wrapped` and `do` may stand between: before each day, and each piece of work on logs.db.
        """
        kept = RetentionConfig.model_validate({"logs": "1d", "signals": "1d", **retention})
        outcome = Outcome()
        with (
            closing(Journal(self.state.journal_path)) as journal,
            closing(open_reader(self.state.journal_path)) as reader,
        ):
            due = due_at(reader, kept, pairs, now_us)
            compressed = kept.compress == "gzip"
            days = write_days(reader, self.state.archive, due, compressed=compressed)
            shelf = Archive(self.state.archive, do(journal.perform), reader, clock)
            archive(shelf, wrapped(days), due, kept, now_us, outcome, tell or self.told.extend)
        return outcome

    def query(self, sql, *arguments):
        with closing(open_reader(self.state.journal_path)) as reader:
            return reader.execute(sql, arguments).fetchall()

    def in_tables(self):
        """All rows that are not archived, as (table, id): its line."""
        found = {}
        with closing(open_reader(self.state.journal_path)) as reader:
            for kind, columns in COLUMNS.items():
                for row in reader.execute(f"SELECT {', '.join(columns)} FROM {kind}"):
                    line = dict(zip(columns, row, strict=True))
                    for column in {"payload", "cause"} & set(columns):
                        line[column] = json.loads(line[column])
                    found[kind, line["id"]] = line
        return found

    def in_files(self):
        """All rows in files that the journal names, the same way; each once."""
        rows = [
            ((day.kind, line["id"]), line) for day in self.days() for line in self.lines(day.file)
        ]
        assert max(Counter(key for key, _ in rows).values(), default=1) == 1
        return dict(rows)

    def days(self):
        with closing(open_reader(self.state.journal_path)) as reader:
            return archived_days(reader)

    def lines(self, file):
        path = self.state.archive / file
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        return [json.loads(line) for line in content.splitlines()]

    def rows(self):
        """What a reader finds: a row that is in a table and in a file is the same in both."""
        tables, files = self.in_tables(), self.in_files()
        assert all(files[key] == tables[key] for key in tables.keys() & files.keys())
        return tables | files

    def files(self):
        """All files of the archive, also those that nothing names."""
        folder = self.state.archive
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def log(at_us, text="hello", **more):
    return LogEntry(at_us, more.get("source", "disk"), "log", "info", None, json.dumps(text))


def signal(at_us, sense="disk", seq=1):
    return SignalEntry(sense, f"{sense}{at_us}", seq, at_us, json.dumps({"at": at_us}), "{}")


@pytest.fixture
def kept(tmp_path):
    return Kept(Path(tmp_path) / "data")
