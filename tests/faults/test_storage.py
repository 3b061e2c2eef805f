"""The six faults of storage, made for real, in a sense's database, in logs.db, in the state directory.

A full and a read-only disk are a tmpfs in a mount namespace of its own, held by a process
(`Disk`); what runs on it is run inside, and what is on it is read through /proc.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from nerve.errors import DatabaseCorrupt, DatabaseDeleted, Exit, StateDeleted, StateError, StateFull
from nerve.store.batch import Batch, LogEntry, SignalEntry
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.recorder import Recorder
from nerve.wire.messages import StopMessage
from tests.runtime.conftest import ENTRY, Running, project
from tests.worker.conftest import bench

__all__ = ["bench", "project"]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
DISK_BYTES = 32 * 1024 * 1024
NOBODY = 65534

COUNTING = """
    def compute(db, peers, ctx):
        db.exec_driver_sql("INSERT INTO seen (n) SELECT coalesce(max(n), 0) + 1 FROM seen")
        return db.exec_driver_sql("SELECT max(n) FROM seen").scalar()
"""
SEEN = "CREATE TABLE seen (n INTEGER, filling BLOB)"


def lines(count, start=1):
    """Log rows and signals in turn, as one batch."""
    batch = Batch()
    for n in range(start, start + count):
        batch.entries.append(SignalEntry("s", "epoch", n, n, json.dumps(n), "{}"))
        batch.entries.append(LogEntry(n, "s", "log", "info", None, json.dumps("x" * 500)))
    return batch


def told(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [n for (n,) in reader.execute("SELECT seq FROM signals ORDER BY id")]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": ""}


def child(code, *arguments, prefix=()):
    """Run Python code in a process of its own; return what it printed, line by line, as JSON."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Filling:
    """Takes all that is left of a disk."""

    def __init__(self, folder):
        self._file = folder / "filling"

    def fill(self):
        with self._file.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def free(self):
        self._file.unlink()


class Disk:
    """A small disk in a mount namespace, as long as the process that holds it lives."""

    def __init__(self, inside, size_bytes=DISK_BYTES):
        inside.mkdir(parents=True)
        script = f"mount -t tmpfs -o size={size_bytes} none '{inside}' && echo ready && exec cat"
        self._keeper = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._keeper.stdout.readline() != "ready\n":
            reason = self._keeper.stderr.read().strip()
            self.close()
            pytest.skip(f"no mount namespace here: {reason}")
        self.inside = inside
        self.outside = Path(f"/proc/{self._keeper.pid}/root{inside}")
        self.filling = Filling(self.outside)
        pid = str(self._keeper.pid)
        self.enter = ["nsenter", "-t", pid, "-U", "-m", "--preserve-credentials"]

    def remount(self, how):
        subprocess.run([*self.enter, "mount", "-o", f"remount,{how}", self.inside], check=True)

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self._keeper.communicate(timeout=PATIENCE_S)


@pytest.fixture
def disk(tmp_path):
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("unshare and nsenter are not installed")
    made = Disk(tmp_path / "project" / "data")
    yield made
    made.close()


# --- the journal ----------------------------------------------------------------------


EVERY_WRITE = """
    import json, resource, sys
    from pathlib import Path
    from nerve.errors import StateError
    from nerve.store.journal import Journal
    from tests.faults.test_storage import lines

    journal = Journal(Path(sys.argv[1]))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = Path(sys.argv[1] + "-wal")
    start, faults = 1, []
    for room in range(0, 60_000, 1_500):
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + room, hard))
        try:
            journal.commit(lines(10, start))
        except StateError as error:
            faults.append(error.fault)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            journal.commit(lines(10, start))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        start += 10
    print(json.dumps([start - 1, faults]))
"""


def test_whichever_write_of_a_commit_fails_all_of_it_is_seen_to_and_can_be_repeated(tmp_path):
    """LOG-6"""
    path = tmp_path / "logs.db"
    ((last, faults),) = child(EVERY_WRITE, path)
    assert set(faults) == {"io_error"}
    assert 5 < len(faults) < 40  # some room was enough, some was not
    assert told(path) == list(range(1, last + 1))


def test_a_journal_that_is_deleted_is_written_back_with_all_it_held(tmp_path):
    """LOG-6"""
    path = tmp_path / "logs.db"
    journal = Journal(path)
    journal.commit(lines(50))
    for victims in (["logs.db"], ["logs.db", "logs.db-wal", "logs.db-shm"]):
        for victim in victims:
            (tmp_path / victim).unlink()
        newest = max(i for i in journal.commit(lines(50, journal.received()["s"]["epoch"] + 1)))
        assert journal.take_restored() == 1
        assert newest == 2 * journal.received()["s"]["epoch"]
    assert told(path) == list(range(1, 151))
    journal.close()
    assert [file.name for file in tmp_path.iterdir()] == ["logs.db"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert told(path) == list(range(1, 151))


def test_a_journal_that_was_replaced_is_not_written_and_the_other_file_is_not_touched(tmp_path):
    """LOG-6"""
    path = tmp_path / "logs.db"
    journal = Journal(path)
    journal.commit(lines(5))
    path.rename(tmp_path / "moved.db")
    path.write_text("somebody's")
    for _ in range(2):
        with pytest.raises(DatabaseDeleted, match="replaced") as refused:
            journal.commit(lines(5, 6))
        assert refused.value.hint
    assert path.read_text() == "somebody's"
    (tmp_path / "moved.db").rename(path)
    journal.commit(lines(5, 6))
    assert journal.take_restored() == 0
    journal.close()
    assert told(path) == list(range(1, 11))


def test_a_journal_whose_directory_is_gone_is_kept_until_it_is_there_again(tmp_path):
    """LOG-6"""
    folder = tmp_path / "data"
    folder.mkdir()
    journal = Journal(folder / "logs.db")
    journal.commit(lines(5))
    shutil.rmtree(folder)
    with pytest.raises(DatabaseDeleted, match="cannot be written back: No such file"):
        journal.commit(lines(5, 6))
    folder.mkdir()
    journal.commit(lines(5, 6))
    assert told(folder / "logs.db") == list(range(1, 11))
    journal.close()


def damage(path, from_page):
    """Overwrite all pages from one on with noise."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * from_page)
        file.write(os.urandom(size - 4096 * from_page))


def test_a_journal_found_damaged_is_not_written_any_more_nor_checkpointed(tmp_path):
    """LOG-6, BOOT-6"""
    path = tmp_path / "logs.db"
    journal = Journal(path)
    journal.commit(lines(500))
    journal.close()
    damage(path, 30)
    before = path.read_bytes()
    journal = Journal(path)
    batch = Batch()
    batch.count("s", "signal", 1)
    journal.commit(batch)  # this much is sound, and in the WAL
    for _ in range(2):
        with pytest.raises(DatabaseCorrupt) as refused:
            journal.commit(lines(1, 501))
        assert "left as it is" in refused.value.hint
    journal.close()
    assert path.read_bytes() == before
    assert (tmp_path / "logs.db-wal").stat().st_size > 0


def test_a_locked_journal_is_told_apart_and_goes_on_when_the_lock_goes(tmp_path, monkeypatch):
    """LOG-6"""
    path = tmp_path / "logs.db"
    journal = Journal(path)
    journal._raw.execute("PRAGMA busy_timeout=50")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError) as locked:
            journal.commit(lines(5))
        assert locked.value.fault == "locked"
        assert "fuser" in locked.value.hint
        other.execute("ROLLBACK")
        journal.commit(lines(5))
        journal.close()
    assert told(path) == [1, 2, 3, 4, 5]


def test_a_disk_that_the_kernel_stops_writing_to_is_read_only_and_not_an_odd_error(tmp_path):
    """LOG-6"""
    image, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    mount = ["mount", "-o", "loop,errors=remount-ro", image, folder]
    for command in (["mkfs.ext4", "-q", image], mount):
        if shutil.which(command[0]) is None or subprocess.run(command, check=False).returncode:
            pytest.skip(f"`{command[0]}` does not work here")
    try:
        journal = Journal(folder / "logs.db")
        journal.commit(lines(5))
        device = os.path.basename(os.path.realpath(f"/sys/dev/block/{_device_of(folder)}"))
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("x")
        with pytest.raises(StateError) as refused:
            journal.commit(lines(5, 6))
        assert refused.value.fault == "read_only"
        assert "kernel" in refused.value.hint
        assert told(folder / "logs.db") == [1, 2, 3, 4, 5]
        journal.close()
    finally:
        subprocess.run(["umount", folder], check=True)


def _device_of(folder):
    device = folder.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


class Unwilling:
    """A journal that refuses more than one entry at once, one of them always, and is full for a while."""

    is_settled, is_checkpoint_due = True, False

    def __init__(self):
        self.stored = []
        self.refusals = 2

    def commit_at_once(self, batch):
        return None

    def commit(self, batch):
        if len(batch.entries) > 1 or any(e.type == "unwritable" for e in batch.entries):
            raise UnicodeError
        if batch.entries and self.refusals:
            self.refusals -= 1
            raise StateFull("full", path=Path("logs.db"))
        self.stored += [entry.type for entry in batch.entries]
        return [len(self.stored) for _ in batch.entries]

    def take_restored(self):
        return 0


def test_a_disk_that_is_full_while_entries_are_tried_one_by_one_loses_none_of_them():
    """LOG-6"""
    journal, faults, committed = Unwilling(), [], []

    async def record():
        done = asyncio.Event()
        recorder = Recorder(
            journal,
            asyncio.get_running_loop(),
            committed=lambda batch, ids: (committed.extend(ids), done.set()),
            troubled=lambda error: faults.append(error.fault),
            recovered=lambda: faults.append("recovered"),
            restored=lambda: None,
            filled=lambda: None,
        )
        for word in ("one", "unwritable", "two"):
            recorder.log(LogEntry(0, "s", word, "info", None, "{}"))
        await asyncio.wait_for(done.wait(), PATIENCE_S)
        assert recorder.left_out == 1
        # At the end one more try, whatever is left of the pause.
        journal.refusals = 1
        recorder.log(LogEntry(0, "s", "three", "info", None, "{}"))
        assert await recorder.drain(0) is False
        await asyncio.to_thread(recorder.close)
        assert await recorder.drain(PATIENCE_S)

    asyncio.run(record())
    assert journal.stored == ["one", "two", "three"]
    assert committed == [1, None, 2, 3]
    assert faults == ["disk_full", "recovered"] * 2


# --- a sense's database ---------------------------------------------------------------


def fault_of(answer, kind):
    """Assert what a worker answered, return its one line."""
    assert (answer.type, answer.outcome) == ("failed", "error"), answer
    assert answer.fault.kind == kind, answer
    assert answer.fault.hint
    assert "\n" not in answer.fault.message
    return answer.fault.message


def seen(database):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [n for (n,) in reader.execute("SELECT n FROM seen ORDER BY n")]


ON_A_SMALL_DISK = """
    import json, subprocess, sys
    from pathlib import Path
    from tests.faults.test_storage import COUNTING, SEEN, Filling, seen
    from tests.worker.conftest import Bench

    INSERT = 'db.exec_driver_sql("INSERT INTO seen VALUES (0, zeroblob(900000))")'
    SOURCES = {
        "counting": COUNTING,
        "writing": f'''
            def compute(db, peers, ctx):
                {INSERT}
        ''',
        "catching": f'''
            def compute(db, peers, ctx):
                try:
                    {INSERT}
                except Exception:
                    return "nothing happened"
        ''',
        "nesting": f'''
            def compute(db, peers, ctx):
                with db.begin_nested():
                    {INSERT}
        ''',
        "keeping": '''
            import os
            def compute(db, peers, ctx):
                ctx.blobs.put(os.urandom(400_000))
        ''',
        "breaking": '''
            def compute(db, peers, ctx):
                db.connection.driver_connection.close()
        ''',
    }
    bench = Bench(Path(sys.argv[1]))
    data = bench.root / "data"
    data.rmdir()
    data.symlink_to(sys.argv[2])
    (data / "blobs").mkdir()
    for name, source in SOURCES.items():
        bench.sense(name, source, SEEN)
    bench.start(blobs=str(data / "blobs"))

    def run(when, *names):
        for name in names:
            fault = getattr(bench.run(name), "fault", None)
            said = [fault.kind, fault.message, fault.hint] if fault else []
            print(json.dumps([f"{when} {name}", said]), flush=True)

    def remount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", sys.argv[2]], check=True)

    filling = Filling(data)
    run("before", "counting")
    filling.fill()
    run("full", *SOURCES)
    run("again", "breaking")
    filling.free()
    blobs = [p.name for p in (data / "blobs").rglob("*") if p.is_file()]
    run("freed", "counting", "keeping")
    print(json.dumps(["rows", seen(data / "counting.db"), seen(data / "writing.db"), blobs]))
    bench.close()

    remount("ro")
    for name, report in bench.start().items():
        print(json.dumps([f"ro {name}", [report.fault.kind, report.fault.message]]), flush=True)
    bench.close()
    remount("rw")
    bench.start()
    told = [bench.worker.receive(30).payload for _ in range(2)]  # what nobody acknowledged
    run("rw", "counting")
    print(json.dumps(["rows", seen(data / "counting.db"), told]))
    bench.close()
"""


def test_a_full_and_a_read_only_disk_under_a_sense_end_computes_and_no_worker(disk, tmp_path):
    """LOG-6, RUN-4"""
    (tmp_path / "bench").mkdir()
    answers = child(ON_A_SMALL_DISK, tmp_path / "bench", disk.inside, prefix=disk.enter)
    rows = [answer[1:] for answer in answers if answer[0] == "rows"]
    said = {answer[0]: answer[1] for answer in answers if answer[0] != "rows"}
    for name in ("counting", "writing", "catching", "nesting", "keeping"):
        kind, message, hint = said[f"full {name}"]
        assert kind == "disk_full", said
        assert f"{name}.db" in message or name == "keeping"
        assert "space" in hint
    assert said["before counting"] == said["freed counting"] == said["freed keeping"] == []
    assert rows[0] == [[1, 2], [], []]  # and no piece of a blob
    for name in ("counting", "writing"):
        kind, message = said[f"ro {name}"]
        assert kind == "read_only"
        assert f"{name}.db" in message
    assert said["rw counting"] == []
    assert rows[1] == [[1, 2, 3], [1, 2]]


def test_a_locked_database_of_a_sense_ends_the_compute_and_the_next_goes_on(bench):
    """LOG-6"""
    bench.sense("counting", COUNTING, SEEN, timeout="200ms")
    bench.start()
    bench.run("counting")
    with closing(sqlite3.connect(bench.database("counting"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "counting.db is locked" in fault_of(bench.run("counting"), "locked")
        other.execute("ROLLBACK")
        assert bench.run("counting").payload == 2
    assert seen(bench.database("counting")) == [1, 2]


def test_a_database_deleted_under_a_sense_is_written_back_and_nothing_is_lost(bench):
    """LOG-6"""
    bench.sense("counting", COUNTING, SEEN)
    bench.sense(
        "deleting",
        """
        import os
        def compute(db, peers, ctx):
            db.exec_driver_sql("INSERT INTO seen (n) VALUES (7)")
            os.unlink(db.exec_driver_sql("PRAGMA database_list").fetchone()[2])
        """,
        SEEN,
    )
    bench.start()
    path = bench.database("counting")
    told = [bench.run("counting") for _ in range(2)]
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    told.append(bench.run("counting"))
    path.unlink()
    told.append(bench.run("counting"))
    assert [signal.payload for signal in told] == [signal.seq for signal in told] == [1, 2, 3, 4]
    assert len({signal.epoch for signal in told}) == 1
    assert seen(path) == [1, 2, 3, 4]

    # Deleted while it runs: that compute is not told as done, and nothing of before is lost.
    for _ in range(2):
        assert "deleting.db was deleted" in fault_of(bench.run("deleting"), "deleted")
    assert not bench.database("deleting").exists()
    bench.worker.request(StopMessage(), PATIENCE_S)
    assert seen(bench.database("deleting")) == []
    assert seen(path) == [1, 2, 3, 4]


def test_a_database_replaced_under_a_sense_is_refused_until_the_own_one_is_back(bench):
    """LOG-6"""
    bench.sense("counting", COUNTING, SEEN)
    bench.start()
    path = bench.database("counting")
    bench.run("counting")
    path.rename(path.with_name("moved"))
    path.write_text("somebody's")
    for _ in range(2):
        assert "replaced by another file" in fault_of(bench.run("counting"), "deleted")
    assert path.read_text() == "somebody's"
    path.with_name("moved").rename(path)
    assert bench.run("counting").payload == 2
    assert seen(path) == [1, 2]


def test_a_sense_that_closed_its_connection_and_moved_its_database_harms_itself_alone(bench):
    """LOG-6, RUN-4"""
    bench.sense("counting", COUNTING, SEEN)
    bench.sense(
        "breaking",
        f"""
        import os
        from pathlib import Path
        def compute(db, peers, ctx):
            if Path({str(bench.root / "break")!r}).exists():
                path = db.exec_driver_sql("PRAGMA database_list").fetchone()[2]
                db.connection.driver_connection.close()
                os.rename(path, path + ".moved")
            return "fine"
        """,
        SEEN,
    )
    bench.start()
    (bench.root / "break").touch()
    assert bench.run("breaking").fault.kind == "error"
    assert "cannot be written back" in fault_of(bench.run("breaking"), "deleted")
    assert bench.run("counting").payload == 1
    path = bench.database("breaking")
    path.with_name(path.name + ".moved").rename(path)
    (bench.root / "break").unlink()
    assert bench.run("breaking").payload == "fine"


READING = """
    import sqlalchemy as sa
    times = []
    def compute(db, peers, ctx):
        times.append(1)
        if len(times) == 1 and not ctx.options:
            return db.exec_driver_sql("CREATE TABLE extra (x)") and None
        reading = "SELECT sum(length(filling)) FROM seen"
        of = ctx.options.get("of")
        if of == "peer":
            return peers["hurt"].exec_driver_sql(reading).scalar()
        if of == "other":
            with sa.create_engine("sqlite:///" + ctx.options["path"]).connect() as other:
                return other.exec_driver_sql(reading).scalar()
        if of == "attached":
            db.exec_driver_sql("ATTACH ? AS other", (ctx.options["path"],))
            return db.exec_driver_sql(reading.replace("seen", "other.seen")).scalar()
        return db.exec_driver_sql("SELEKT 1" if of == "syntax" else reading).scalar()
"""


def test_a_damaged_database_is_the_fault_of_its_sense_alone_and_is_left_as_it_is(bench):
    """LOG-6, BOOT-6"""
    path = bench.database("hurt")
    bench.sense("hurt", READING, SEEN)
    innocent = ("peer", "other", "attached", "syntax")
    for of in innocent:
        bench.sense(of, READING, SEEN, options=f"{{of: {of}, path: '{path}'}}")
    bench.start()
    bench.close()
    with closing(sqlite3.connect(path)) as writer, writer:
        writer.executemany("INSERT INTO seen VALUES (?, zeroblob(900))", [(n,) for n in range(500)])
    damage(path, 30)
    before = path.read_bytes()
    bench.start()
    assert bench.run("hurt").type == "no_signal"  # this much is sound, and in the WAL
    for _ in range(2):
        assert "hurt.db is damaged" in fault_of(bench.run("hurt"), "corrupt")
    bench.worker.request(StopMessage(), PATIENCE_S)
    assert path.read_bytes() == before
    assert path.with_name("hurt.db-wal").stat().st_size > 0

    bench.close()
    bench.start()
    for of in innocent:
        answer = bench.run(of)
        assert answer.fault.kind == "error", answer


# --- the state directory --------------------------------------------------------------


AT_THE_START = """
    import json, os, sys
    from pathlib import Path
    from nerve.errors import NerveError
    from nerve.store.journal import Journal
    from nerve.store.state_dir import StateDir

    if len(sys.argv) > 2:
        os.setuid(int(sys.argv[2]))
    state = StateDir(Path(sys.argv[1]))
    for step in (state.create, state.lock, lambda: Journal(state.journal_path)):
        try:
            step()
        except NerveError as error:
            print(json.dumps([error.fault, int(error.exit_code), str(error), error.hint]))
"""


def test_a_state_directory_that_takes_no_writes_is_told_apart_at_the_start(disk):
    """LOG-6, BOOT-6"""
    disk.filling.fill()
    faults = child(AT_THE_START, disk.inside, prefix=disk.enter)
    assert {fault for fault, *_ in faults} == {"disk_full"}
    assert {code for _, code, *_ in faults} == {Exit.INPUT_OUTPUT}
    disk.filling.free()
    assert child(AT_THE_START, disk.inside, prefix=disk.enter) == []
    disk.remount("ro")
    faults = child(AT_THE_START, disk.inside, prefix=disk.enter)
    assert [fault[:2] for fault in faults] == [["read_only", Exit.CANNOT_CREATE]] * 3
    disk.remount("rw")
    assert child(AT_THE_START, disk.inside, prefix=disk.enter) == []


def test_a_state_directory_of_somebody_else_is_forbidden(tmp_path):
    """LOG-6, BOOT-6"""
    state = tmp_path / "data"
    state.mkdir(mode=0o755)
    if os.getuid() == 0:
        for folder in (tmp_path, *tmp_path.parents):
            if folder.name.startswith(("test_", "popen-", "pytest-")):
                folder.chmod(0o711)
        faults = child(AT_THE_START, state, NOBODY)
    else:
        state.chmod(0o500)
        faults = child(AT_THE_START, state)
        state.chmod(0o700)
    assert [fault[:2] for fault in faults] == [["forbidden", Exit.NO_PERMISSION]] * 3
    assert all(hint for *_, hint in faults)


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_lock_file_that_is_not_the_one_held_is_noticed(tmp_path, change):
    """LOG-6, BOOT-1"""
    state = StateDir(tmp_path / "data")
    state.create()
    lock = state.lock()
    state.check()
    if change == "deleted":
        shutil.rmtree(state.root)
    else:
        state.lock_path.rename(tmp_path / "moved")
        state.lock_path.touch()
    with pytest.raises(StateDeleted, match=change) as lost:
        state.check()
    assert lost.value.exit_code == Exit.INPUT_OUTPUT
    os.close(lock)


def test_a_blob_that_no_disk_takes_is_told_and_leaves_nothing(tmp_path):
    """LOG-6, DB-9"""
    code = """
        import json, resource, sys
        from pathlib import Path
        from nerve.errors import StateError
        from nerve.store.blobs import BlobStore
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            BlobStore(Path(sys.argv[1])).put(bytes(50_000))
        except StateError as error:
            print(json.dumps([error.fault, error.hint]))
    """
    ((fault, hint),) = child(code, tmp_path)
    assert (fault, bool(hint)) == ("io_error", True)
    assert list(tmp_path.iterdir()) == []


# --- the whole of it ------------------------------------------------------------------


COUNTED = """
    senses: {counting: {timeout: 1s}, other: {group: b}}
    reflexes: [{kind: sense, sense: [counting, other], interval: 50ms}]
"""


def counting_project(project):
    for name in ("counting", "other"):
        project.sense(name, COUNTING, first=f"op.execute({SEEN!r})")
    project.config(COUNTED)


def agreed(state):
    """Assert that rows and signals agree, one to one and in order; return how many there are."""
    counts = []
    for sense in ("counting", "other"):
        with closing(sqlite3.connect(f"file:{state}/logs.db?mode=ro", uri=True)) as reader:
            query = "SELECT CAST(payload AS INTEGER) FROM signals WHERE sense = ? ORDER BY id"
            signals = [n for (n,) in reader.execute(query, (sense,))]
        assert signals == seen(state / "senses" / f"{sense}.db") == list(range(1, len(signals) + 1))
        counts.append(len(signals))
    return counts


def await_next(running, sense):
    """Wait for a signal that is not there yet."""
    count = sum(1 for e in list(running.said) if e["kind"] == "signal" and e["sense"] == sense)
    running.signals(sense, count + 1)


def test_nerve_goes_on_over_a_lock_and_deleted_databases_and_stops_without_its_directory(project):
    """LOG-6"""
    counting_project(project)
    running = project.start()
    running.signals("counting", 3)
    running.signals("other", 3)

    with closing(sqlite3.connect(project.state / "logs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        (trouble,) = running.log("storage.trouble")
        other.execute("ROLLBACK")
    assert trouble["payload"]["fault"] == "locked"
    assert trouble["payload"]["hint"]
    running.log("storage.recovered")

    (project.state / "logs.db").unlink()
    (project.state / "senses" / "counting.db").unlink()
    (restored,) = running.log("database.restored", source="nerve")
    assert "stop nerve" in restored["payload"]["hint"]
    running.wait_for(
        lambda e: "written back" in str(e["payload"]) and e.get("source") == "counting"
    )
    await_next(running, "counting")
    await_next(running, "other")
    assert running.stop() == 0
    assert min(agreed(project.state)) > 3

    again = project.start()
    again.signals("counting", 2)
    project.state.rename(project.root / "moved")
    (lost,) = again.log("state.lost")
    assert "lock file was deleted" in lost["payload"]["message"]
    assert again.wait() == Exit.INPUT_OUTPUT
    assert "StateDeleted" in again.errors()
    assert not project.state.exists()


def test_nerve_on_a_full_disk_triggers_nothing_and_goes_on_when_there_is_room(
    disk, project, tmp_path
):
    """LOG-6"""
    counting_project(project)
    process = subprocess.Popen(
        [*disk.enter, "env", "-C", project.root, sys.executable, str(ENTRY)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    running = Running(process)
    project.running.append(running)
    running.signals("counting", 3)
    disk.filling.fill()
    (trouble,) = running.log("storage.trouble")
    assert trouble["payload"]["fault"] == "disk_full"
    assert "logs.db has no space left" in trouble["payload"]["message"]
    assert "space" in trouble["payload"]["hint"]
    disk.filling.free()
    running.log("storage.recovered")
    await_next(running, "counting")
    await_next(running, "other")
    assert running.stop(signal.SIGTERM) == 0
    # SQLite follows links, and that through /proc leads out of the namespace.
    agreed(
        shutil.copytree(disk.outside, tmp_path / "copied", ignore=shutil.ignore_patterns("fork"))
    )
    known = [entry["id"] for entry in running.said if entry["id"] is not None]
    assert known == sorted(set(known))
