"""The whole command, on real files: sound, damaged, held, on disks of every kind."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from nerve.cli.doctor.steps import STEPS
from nerve.cli.journal import READABLE
from nerve.clock import US_PER_S, SystemClock
from nerve.process.remains import BOOT_VARIABLE
from nerve.store.migrations import JOURNAL_SCHEMA, upgrade
from nerve.store.schema import JOURNAL_HEAD
from nerve.store.sqlite import open_owner
from nerve.version import VERSION
from tests.faults.test_storage import Disk

OF_THE_MACHINE = {
    *("python", "sqlite", "clock", "/dev/shm", "file system", "space", "limits", "memory"),
}
ALONE = "senses: {disk: {}}\nreflexes: [{kind: sense, sense: disk, interval: 100ms}]\n"
TELLING = "def compute(db, peers, ctx):\n    return 1\n"
TELLING_ONCE = "left = [1]\ndef compute(db, peers, ctx):\n    return left.pop() if left else None\n"
"""So that a kill falls between no worker's commit and the parent's."""
CALL = "import sys\n{}\nsys.argv = ['nerve', *sys.argv[1:]]\nfrom nerve.cli import main\nmain()\n"
QUICK = "from nerve.cli.doctor import configured\nconfigured.SENSE_TIMEOUT_S = 4.0"
ONLY = "from nerve.cli.doctor import command as c\nc.STEPS = [s for s in c.STEPS if s.name in {}]"
NOBODY = "import os\nif os.getuid() == 0: os.setuid(65534)"
FIRST = ("state_dir", "config", "logs.db")


class Doctor:
    """A project, and what the doctor says of it."""

    def __init__(self, project, template):
        self.project = project
        self._template = template
        self.state = project.state
        project.write("nerve.yaml", ALONE)
        project.sense("disk", TELLING)

    def run(self, *, prefix=(), arguments=(), before=""):
        """Return exit code and findings."""
        done = subprocess.run(
            [*prefix, sys.executable, "-c", CALL.format(before), "doctor", "--json", *arguments],
            cwd=self.project.folder,
            env={**self.project.environ, "NERVE_CONFIG": str(self.project.config)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert all(line.startswith("waiting for ") for line in done.stderr.splitlines())
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def of(self, check, **options):
        """Look at one thing alone; return what is found, as (severity, message)."""
        _, found = self.run(before=ONLY.format((*FIRST, check)), **options)
        return [(f["severity"], f["message"]) for f in found if f["check"] == check]

    def one(self, check, **options):
        (found,) = self.of(check, **options)
        return found

    def has_run(self, name="data"):
        """Leave what a run leaves, and a stop."""
        shutil.copytree(self._template, self.project.folder / name)
        return self

    def write(self, path, *statements):
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            for statement in statements:
                raw.execute(statement)

    def listing(self):
        """All that is below the state directory, with what tells a change."""
        found = {}
        for path in sorted(self.state.root.rglob("*")):
            status = path.stat()
            found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns)
        return found


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A state directory after a run of the sense `disk`."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "senses").mkdir()
    (folder / "nerve.yaml").write_text(ALONE)
    (folder / "senses/disk.py").write_text(TELLING)
    once = [sys.executable, "-m", "nerve", "run", "--once"]
    subprocess.run(once, cwd=folder, check=True, capture_output=True, timeout=60)
    return folder / "data"


@pytest.fixture
def doctor(project, template):
    return Doctor(project, template)


def start(background):
    """Start nerve, and wait until it has told something."""
    process = background("run", "--json")
    while '"sense": "disk"' not in process.stdout.readline():
        assert process.poll() is None
    return process


# --- sound ------------------------------------------------------------------------------


def test_a_sound_installation_is_sound_and_stays_as_it_is(doctor):
    before = doctor.has_run().listing()
    _, found = doctor.run()
    assert {f["severity"] for f in found if f["check"] not in OF_THE_MACHINE} == {"ok"}
    assert len({f["check"] for f in found}) == len(found) == 19
    assert doctor.listing() == before


def test_where_nothing_has_run_there_is_nothing_to_find_and_nothing_is_made(doctor):
    _, found = doctor.run()
    assert {f["severity"] for f in found if f["check"] not in OF_THE_MACHINE} == {"ok"}
    assert not doctor.state.root.exists()


def test_the_exit_code_says_whether_something_is_to_be_done(doctor):
    code, found = doctor.has_run().run()
    doing = any(f["severity"] in {"error", "warning"} for f in found)  # e.g. a /tmp in memory
    assert code == doing
    doctor.state.root.chmod(0o755)
    assert doctor.run()[0] == 1


def test_a_person_sees_the_worst_first_within_80_columns(doctor, on_terminal):
    doctor.project.sense("disk", "1/0\n")
    lines = on_terminal("doctor", code=1)
    assert lines[0].startswith("error    senses       nerve.yaml:1:10: senses.disk: import_raised")
    assert max(map(len, lines)) <= 80
    severities = [line.split(" ")[0] for line in lines if line[0] != " "]
    order = ["error", "warning", "note", "skipped", "ok"]
    assert severities == sorted(severities, key=order.index)


def test_the_page_lists_each_check_and_no_other(checkout):
    page = (checkout / "docs/doctor.md").read_text()
    table = page.partition("## What is looked at")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert listed == [step.name for step in STEPS]


# --- configuration and senses --------------------------------------------------------------


def test_with_a_faulty_configuration_all_is_looked_at_that_does_not_need_it(doctor):
    """CFG-1"""
    doctor.has_run("elsewhere")
    doctor.project.write("nerve.yaml", "state_dir: elsewhere\nsenses: {disk: {timeout: soon}}\n")
    code, found = doctor.run()
    assert code == 78
    by_check = {f["check"]: f for f in found}
    assert by_check["config"]["message"].startswith("nerve.yaml:2:26: senses.disk.timeout")
    assert by_check["logs.db"]["severity"] == "ok"
    skipped = {f["check"] for f in found if f["severity"] == "skipped"}
    assert skipped == {"senses", "limits", "memory"}


def test_without_a_configuration_the_machine_is_looked_at(doctor):
    doctor.project.config.unlink()
    code, found = doctor.run()
    assert code == 78
    assert {f["check"] for f in found if f["severity"] != "skipped"} == {
        *("python", "sqlite", "clock", "/dev/shm", "config"),
    }


def test_a_sense_whose_import_hangs_is_named_and_the_others_are_looked_at(doctor):
    """BOOT-3"""
    doctor.project.write("nerve.yaml", "senses: {disk: {}, heat: {}, load: {}}\n")
    doctor.project.sense("disk", "import time; time.sleep(600)\n")
    doctor.project.sense("heat", "import nosuchmodule\n")
    doctor.project.sense("load")
    _, found = doctor.run(before=QUICK)
    hung, broken = (f for f in found if f["check"] == "senses")
    assert "senses.disk: import_died: the worker of disk did not answer" in hung["message"]
    assert "nosuchmodule" in broken["message"]


# --- who holds it -----------------------------------------------------------------------


def test_of_a_running_nerve_it_says_which_process_and_version_and_finds_nothing(doctor, background):
    """CTL-2"""
    process = start(background)
    _, found = doctor.run()
    lock = next(f for f in found if f["check"] == "lock")
    assert lock["message"].startswith(f"process {process.pid} runs nerve here since ")
    assert lock["message"].endswith(f", version {VERSION}")
    limits = next(f for f in found if f["check"] == "limits")
    assert f"process {process.pid}" in limits["message"]
    doing = {f["check"] for f in found if f["severity"] in {"error", "warning"}}
    assert doing <= OF_THE_MACHINE


def test_of_a_killed_nerve_it_says_that_nothing_is_to_be_done(doctor, background):
    """BOOT-4"""
    doctor.project.sense("disk", TELLING_ONCE)
    process = start(background)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    files = [path for path in doctor.state.root.rglob("*.db*") if path.suffix != ".db-shm"]
    before = [path.read_bytes() for path in files]
    severity, message = doctor.one("lock")
    assert severity == "note"
    assert f"the run of process {process.pid}" in message
    assert doctor.one("databases")[0] == doctor.one("logs.db")[0] == "ok"
    assert [path.read_bytes() for path in files] == before


def test_a_process_of_an_earlier_run_is_found_by_that_runs_name(doctor):
    """RUN-10"""
    with closing(sqlite3.connect(doctor.has_run().state.journal_path)) as raw:
        (boot,) = raw.execute("SELECT boot FROM boots").fetchone()
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, BOOT_VARIABLE: boot})
    try:
        severity, message = doctor.one("leftovers")
    finally:
        left.kill()
        left.wait(30)
    assert severity == "warning"
    assert str(left.pid) in message


def test_what_runs_of_the_nerve_that_this_directory_is_a_copy_of_is_not_left_over(doctor):
    """RUN-10: a start on the copy has noted that the run that it found had no end."""
    with closing(sqlite3.connect(doctor.has_run().state.journal_path)) as raw, raw:
        raw.execute("UPDATE boots SET ended = 'crashed', pid = ?", (os.getpid(),))
        (boot,) = raw.execute("SELECT boot FROM boots").fetchone()
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, BOOT_VARIABLE: boot})
    try:
        severity, _ = doctor.one("leftovers")
    finally:
        left.kill()
        left.wait(30)
    assert severity == "ok"


# --- a damaged state directory ------------------------------------------------------------


def test_a_state_directory_that_is_a_file_leaves_the_rest_to_be_looked_at(doctor):
    doctor.project.write("data", "")
    code, found = doctor.run()
    assert code == 1
    by_check = {f["check"]: f for f in found}
    assert by_check["state_dir"]["severity"] == "error"
    assert by_check["senses"]["severity"] == "ok"
    assert by_check["logs.db"]["severity"] == "skipped"


def test_a_state_directory_without_access_is_an_error_and_the_rest_is_looked_at(doctor):
    doctor.has_run().state.root.chmod(0)
    # The directories above belong to root alone where the tests run as root.
    for folder in (doctor.project.folder, *doctor.project.folder.parents):
        if folder.name.startswith(("test_", "popen-", "pytest-")):
            folder.chmod(0o711)
    code, found = doctor.run(before="\n".join([ONLY.format((*FIRST, "lock")), NOBODY]))
    by_check = {f["check"]: f for f in found}
    assert code == 1, found
    assert by_check["state_dir"]["message"].startswith("no access to ")
    assert by_check["config"]["severity"] == "ok"
    assert by_check["lock"]["severity"] == "skipped"


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0" + bytes(4080)])
def test_a_corrupt_journal_is_an_error_and_left_as_it_is(doctor, content):
    """BOOT-6"""
    doctor.has_run().state.journal_path.write_bytes(content)
    severity, message = doctor.one("logs.db")
    assert severity == "error"
    assert "logs.db" in message
    assert doctor.of("log") == [("skipped", "not looked at, because of logs.db")]
    assert doctor.one("databases")[0] == "ok"
    assert doctor.state.journal_path.read_bytes() == content


def test_a_first_start_that_was_cut_off_is_no_damage(doctor):
    doctor.state.create()
    doctor.state.journal_path.touch()
    assert doctor.one("logs.db")[0] == "note"
    assert doctor.of("log") == []


def test_pages_that_were_overwritten_are_found(doctor):
    """BOOT-6"""
    path = doctor.has_run().state.journal_path
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    assert doctor.of("logs.db")[0][0] == "error"


def test_a_journal_of_a_newer_nerve_is_an_error_and_a_missing_one_too_where_senses_have_data(
    doctor,
):
    doctor.has_run().write(
        doctor.state.journal_path, "UPDATE nerve_version SET version_num = '9999'"
    )
    assert "stands at revision 9999" in doctor.one("logs.db")[1]
    doctor.state.journal_path.unlink()
    assert doctor.one("logs.db")[0] == "warning"


def test_what_the_log_tells_of_the_last_run_is_what_still_holds(doctor, log):
    """LOG-1"""
    fatal = [log(group, "group.fatal", "error") for group in ("web", "web", "host")]
    ready = [log("host", "worker.ready"), log("nerve", "storage.trouble", "error")]
    doctor.project.record(log("nerve", "nerve.started"), *fatal, *ready)
    storage, given_up = doctor.of("log")
    assert given_up[0] == "warning"
    assert "group web was given up in the last run" in given_up[1]
    assert storage[0] == "error"
    doctor.project.record(log("nerve", "storage.recovered"), log("nerve", "nerve.started"))
    assert doctor.one("log")[0] == "ok"


@pytest.mark.parametrize("revision", sorted(READABLE - {JOURNAL_HEAD}))
def test_a_journal_of_an_older_nerve_is_looked_at_as_far_as_it_goes(doctor, revision):
    """DB-2"""
    doctor.state.create()
    with closing(open_owner(doctor.state.journal_path, full_sync=False)) as raw:
        upgrade(raw, JOURNAL_SCHEMA, to=revision)
    _, found = doctor.run()
    by_check = {f["check"]: f for f in found if f["check"] not in OF_THE_MACHINE}
    assert f"the next start brings it to {JOURNAL_HEAD}" in by_check["logs.db"]["message"]
    assert {f["severity"] for f in by_check.values()} == {"note", "ok"}


def test_a_sense_that_is_held_back_is_told_while_it_is_configured(doctor):
    until_us = SystemClock().now_us() + 3_600 * US_PER_S
    held = [(sense, 1, 0, until_us, "it crashed") for sense in ("disk", "gone")]
    path = doctor.has_run().state.journal_path
    doctor.write(path, f"INSERT INTO quarantine VALUES {', '.join(map(str, held))}")
    severity, message = doctor.one("log")
    assert severity == "warning"
    assert message.startswith("disk is in quarantine until ")


def test_a_wal_without_its_database_is_an_error_and_stays(doctor):
    wal = doctor.has_run().state.senses / "gone.db-wal"
    wal.write_bytes(b"x" * 100)
    severity, message = doctor.one("databases")
    assert severity == "error"
    assert "gone.db-wal" in message
    assert wal.exists()


def test_a_large_wal_is_told(doctor):
    """DB-8"""
    path = doctor.has_run().state.sense_db("disk")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE t (x)")
        wal = path.with_name("disk.db-wal")
        os.truncate(wal, 65 * 2**20)
        assert doctor.one("databases") == ("note", "disk.db-wal has 65 MB")


def test_a_senses_database_that_is_corrupt_or_ahead_is_an_error(doctor):
    """BOOT-6"""
    path = doctor.has_run().state.sense_db("disk")
    doctor.write(
        path,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('0009')",
    )
    _, found = doctor.run()
    (ahead,) = (f["message"] for f in found if f["check"] == "databases")
    assert "stands at revision 0009, which the sense disk does not have" in ahead
    path.write_bytes(b"no database at all")
    assert doctor.one("databases")[0] == "error"


def test_signals_that_nobody_has_recorded_are_told(doctor):
    doctor.has_run().write(
        doctor.state.sense_db("disk"),
        "INSERT INTO nerve_outbox VALUES (1000, 1, 'boot', 1, '1', '{}')",
    )
    message = "1 signal of disk not recorded yet; the next start tells them"
    assert doctor.one("databases") == ("note", message)


def test_half_written_files_are_told_and_left(doctor):
    unfinished = doctor.has_run().state.archive / ".unfinished-abc"
    unfinished.touch()
    assert doctor.one("leftovers")[0] == "note"
    assert unfinished.exists()


def test_the_copy_of_a_deleted_journal_is_not_overlooked(doctor):
    path = doctor.has_run().state.journal_path
    path.rename(path.with_name(".logs.db.unfinished"))
    assert doctor.one("leftovers")[0] == "warning"


def test_an_archived_day_that_is_missing_is_a_warning(doctor, log):
    """LOG-3"""
    doctor.project.record(log())
    doctor.project.archive()
    assert doctor.one("archive")[0] == "ok"
    shutil.rmtree(doctor.state.archive / "logs")
    assert doctor.one("archive")[0] == "warning"


def test_the_pace_is_taken_from_what_the_journal_holds(doctor, log):
    """LOG-3"""
    record = doctor.project.record
    now_us, day_us = SystemClock().now_us(), 86_400 * US_PER_S
    payload = json.dumps({"message": "x" * 1000})
    record(*(log(payload=payload, at_us=now_us - 40 * day_us) for _ in range(3000)))
    record(*(log(payload=payload, at_us=now_us - day_us) for _ in range(100)))
    _, found = doctor.run(before=ONLY.format((*FIRST, "space")))
    (told,) = (f for f in found if f["check"] == "space")
    assert "logs.db takes 110 KB a day" in told["message"] + told["why"]


# --- disks -------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("unshare and nsenter are not installed")
    made = Disk(tmp_path / "data")
    yield made
    made.close()


def on_disk(disk, template):
    """Leave on the disk what a run leaves."""
    shutil.copytree(template, disk.outside, dirs_exist_ok=True)
    return {"prefix": disk.enter}


def test_a_disk_in_memory_is_a_warning(doctor, disk, template):
    severity, message = doctor.one("file system", **on_disk(disk, template))
    assert severity == "warning"
    assert "tmpfs" in message


def test_a_full_disk_is_an_error_and_the_rest_is_read(doctor, disk, template):
    inside = on_disk(disk, template)
    disk.filling.fill()
    code, found = doctor.run(**inside)
    by_check = {f["check"]: f for f in found}
    assert code == 1
    assert "No space left" in by_check["state_dir"]["message"]
    assert by_check["space"]["severity"] == "error"
    assert {by_check[check]["severity"] for check in ("logs.db", "log", "databases")} == {"ok"}


def test_a_read_only_disk_is_an_error_and_the_rest_is_read(doctor, disk, template):
    inside = on_disk(disk, template)
    disk.remount("ro")
    _, found = doctor.run(**inside)
    by_check = {f["check"]: f for f in found}
    assert "Read-only" in by_check["state_dir"]["message"]
    assert {by_check[check]["severity"] for check in ("logs.db", "log", "databases")} == {"ok"}


HUNG = """
import ctypes, os, sys
server = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
libc = ctypes.CDLL(None, use_errno=True)
refused = libc.mount(b"hung", sys.argv[1].encode(), b"fuse.hung", 6, options)
print(os.strerror(ctypes.get_errno()) if refused else "ready", flush=True)
sys.stdin.read()
"""


def test_a_file_system_that_hangs_is_named_and_holds_up_nothing_else(doctor, disk):
    """A FUSE server that never answers is what an NFS server is that has gone away."""
    inside = disk.inside.parent / "far"
    inside.mkdir()
    server = subprocess.Popen(
        [*disk.enter, sys.executable, "-c", HUNG, str(inside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if (said := server.stdout.readline().strip()) != "ready":
            pytest.skip(f"no FUSE here: {said}")
        _, found = doctor.run(prefix=disk.enter, arguments=["--set", f"state_dir={inside}/data"])
    finally:
        server.kill()
        server.communicate(timeout=30)
    by_check = {f["check"]: f for f in found}
    hung = f"the state directory {inside}/data did not answer within 5 s"
    assert by_check["state_dir"]["message"] == hung
    assert "fuse.hung" in by_check["file system"]["message"]
    assert by_check["senses"]["severity"] == "ok"
    assert by_check["lock"]["severity"] == "skipped"
