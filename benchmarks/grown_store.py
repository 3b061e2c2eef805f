"""A project, and behind it a store that has grown: log rows, signals, the senses' own rows.

It is what four weeks of running would have left: ids from one sequence, signals of several senses
numbered as their outboxes have it, the cursor of each reflex at its end, decisions by the hour.
Nothing is old enough for the archive. The journal is filled by nerve's own `Journal`, in large
transactions, so nothing is in it that could not have come about.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.log_rows import BATCH_ROWS, batches
from benchmarks.projects import BEHIND, add_sense, make_hanging_project
from benchmarks.rows import INSERT, SAID
from benchmarks.whole import whole
from nerve.config import Loaded, load_config
from nerve.sense import TriggerKind
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.outbox import Outbox
from nerve.store.sqlite import open_owner
from nerve.store.state_dir import StateDir
from nerve.wire.messages import StoredCause

TELLING = tuple(f"told-{number}" for number in range(8))
ECHO = "echo"
SPAN_DAYS = 28
"""Below what stays in logs.db."""
SIGNALS_PER_BATCH = BATCH_ROWS // 10
BATCHES_PER_COMMIT = 25
"""With a million rows there is a commit, and so a decision on each sense, every two hours or so."""
LISTENING_SENSE = "def compute(db, peers, ctx):\n    return None\n"
PAYLOAD = f'{{"said":"{SAID}"}}'
CAUSE = StoredCause(kind=TriggerKind.INTERVAL, boot="3f2a91c0d4e5", trigger=17, depth=0)


def make_project(folder: Path) -> Loaded:
    """Two groups: one with a sense that hangs and one that tells, and eight that one listens to.

    All databases are made, and are at head.
    """
    make_hanging_project(folder)
    for name in TELLING:
        add_sense(folder, name, "group: told")
    add_sense(folder, ECHO, "group: told", LISTENING_SENSE)
    with (folder / "nerve.yaml").open("a") as file:
        file.write(f"reflexes:\n  - {{kind: sense, sense: {ECHO}, on: [{', '.join(TELLING)}]}}\n")
    loaded = load_config(folder / "nerve.yaml", environ={})
    with whole(loaded) as nerve:
        nerve.ready_us()
    return loaded


def let_grow(loaded: Loaded, log_rows: int) -> None:
    """Put so many log rows, and a tenth as many signals, behind such a project."""
    state = StateDir(loaded.state_dir)
    signals = _signals({name: _epoch(state.sense_db(name)) for name in (BEHIND, *TELLING)})
    newest: dict[str, tuple[int, int]] = {}
    with closing(Journal(state.journal_path)) as journal:
        rows = batches(log_rows, SPAN_DAYS)
        while part := list(itertools.islice(rows, BATCHES_PER_COMMIT)):
            batch = _batch(part, signals)
            ids = journal.commit(batch)
            for entry_id, entry in zip(ids, batch.entries, strict=True):
                if isinstance(entry, SignalEntry) and entry_id is not None:
                    newest[entry.sense] = (entry_id, entry.seq)
        cursors = {(ECHO, name): newest[name][0] for name in TELLING}
        journal.commit(Batch(cursors=cursors))
    for name, (_, seq) in newest.items():
        _let_sense_grow(state.sense_db(name), seq)


def _signals(epochs: Mapping[str, str]) -> Iterator[SignalEntry]:
    """Yield one signal after the other, each sense in turn; they have no time yet."""
    cause = CAUSE.model_dump_json()
    for seq in itertools.count(1):
        for name, epoch in epochs.items():
            yield SignalEntry(name, epoch, seq, 0, PAYLOAD, cause)


def _batch(part: Sequence[list[LogEntry]], signals: Iterator[SignalEntry]) -> Batch:
    """What one commit has: logs with signals among them, and what became of the triggers."""
    batch = Batch()
    for logged in part:
        at_us = logged[-1].at_us
        some = itertools.islice(signals, SIGNALS_PER_BATCH)
        told = [signal._replace(at_us=at_us) for signal in some]
        batch.entries += [*logged, *told]
        for signal in told:
            batch.count(signal.sense, "signal", at_us)
            batch.count(signal.sense, "no_signal", at_us)
            batch.count(ECHO, "no_signal", at_us)
    return batch


def _epoch(path: Path) -> str:
    with closing(open_owner(path, full_sync=True)) as raw:
        return Outbox(raw).epoch


def _let_sense_grow(path: Path, seq: int) -> None:
    """Give a sense the rows that went with so many signals, all of which are acknowledged."""
    with closing(open_owner(path, full_sync=True)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(INSERT, ((number, SAID) for number in range(seq)))
        raw.execute("UPDATE nerve_identity SET seq = ?", (seq,))
        raw.execute("COMMIT")
