import errno
import os
import resource

import pytest

from nerve.config import GroupConfig
from nerve.wire.messages import Fault
from nerve.worker.limits import MAX_LINKS, RESERVE_BYTES, RESERVE_FILES, Lowered, name_limit

MB = 2**20
LIMITS = GroupConfig.model_validate({"memory": "256MB", "open_files": 128, "nice": 3})
HUNGRY = """
import os, resource, subprocess, sys
from pathlib import Path
kept = []

def compute(db, peers, ctx):
    {body}
"""
HEALTHY = "def compute(db, peers, ctx): return {'n': len(bytes(10_000_000))}"


def hungry(bench, body, name="hungry"):
    bench.sense(name, HUNGRY.format(body=body))


def held_mb(fault):
    return int(fault.message.partition("use 256 MB, and ")[2].split(" MB")[0])


def start(bench, limits=LIMITS):
    bench.sense("healthy", HEALTHY)
    bench.start(limits=limits)


def test_asking_for_too_much_memory_is_an_error_that_names_the_limit_and_the_worker_lives(bench):
    """RUN-5, RUN-6"""
    hungry(bench, "pieces = []\n    while True: pieces.append(bytearray(1_000_000))")
    hungry(bench, "return {'pid': os.getpid()}", name="who")
    start(bench)
    pid = bench.run("who").payload["pid"]
    for _ in range(2):
        failed = bench.run("hungry")
        assert (failed.outcome, failed.fault.kind) == ("error", "memory"), failed
        assert failed.fault.hint.endswith("raise groups.bench.memory")
        assert "the worker may use 256 MB" in failed.fault.message
        assert "pieces.append" in failed.fault.traceback
        # At the limit malloc turns to a second arena, which may keep 64 MB that hold nothing.
        assert held_mb(failed.fault) < 200
        assert bench.run("healthy").type == "signal"
    assert bench.run("who").payload["pid"] == pid


def test_what_is_kept_after_the_memory_ran_out_is_told(bench):
    """RUN-5"""
    hungry(bench, "while True: kept.append(bytearray(1_000_000))")
    start(bench)
    for _ in range(2):
        failed = bench.run("hungry")
        assert failed.fault.kind == "memory"
        assert held_mb(failed.fault) > 200


def test_a_sense_that_keeps_the_last_byte_leaves_nerve_its_own(bench):
    """RUN-5"""
    bench.sense(
        "hungry",
        """
        import mmap
        kept = []
        def compute(db, peers, ctx):
            for size in (1_000_000, 64_000, 4_096):
                try:
                    while True:
                        kept.append(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE))
                except OSError:
                    pass
            for size in (100_000, 10_000, 1_000, 100):
                try:
                    while True:
                        kept.append(bytes(size))
                except MemoryError:
                    pass
            return bytes(1_000_000)
        """,
    )
    hungry(bench, "return {'kept': True}", name="telling")
    start(bench)
    assert bench.run("hungry").fault.kind == "memory"
    assert bench.run("telling").type == "signal"


def test_open_files_that_run_out_are_an_error_that_names_the_limit_and_the_worker_lives(bench):
    """RUN-5"""
    hungry(bench, "here = []\n    while True: here.append(open('/dev/null'))")
    start(bench)
    failed = bench.run("hungry")
    assert (failed.outcome, failed.fault.kind) == ("error", "open_files"), failed
    assert "the worker may have 128 open" in failed.fault.message
    assert failed.fault.hint.endswith("raise groups.bench.open_files")
    assert bench.run("healthy").type == "signal"


def test_more_senses_than_may_be_open_are_told_of_the_limit_and_the_others_run(bench):
    """RUN-5"""
    for number in range(50):
        bench.sense(f"s{number}", HEALTHY)
    reports = bench.start(limits=LIMITS)
    faults = [report.fault for report in reports.values() if report.fault]
    assert 0 < len(faults) < 25
    for fault in faults:
        assert fault.kind == "open_files", fault
        assert fault.hint.endswith("raise groups.bench.open_files")
    assert bench.run("s0").type == "signal"


def test_files_that_are_kept_open_leave_nerve_its_own(bench):
    """RUN-5"""
    hungry(bench, "while True: kept.append(os.open('/dev/null', os.O_RDONLY))")
    hungry(bench, "return {'kept': True}", name="telling")
    start(bench)
    assert bench.run("hungry").fault.kind == "open_files"
    failed = bench.run("hungry")
    assert failed.fault.kind == "open_files"
    assert "os.O_RDONLY" in failed.fault.traceback  # its source could be opened and read
    assert bench.run("telling").type == "signal"


def test_child_processes_inherit_the_limits_and_no_crash_leaves_a_core(bench):
    """RUN-6"""
    program = (
        "import os, resource as r; "
        "print(r.getrlimit(r.RLIMIT_DATA), r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE), os.nice(0))"
    )
    hungry(
        bench,
        f"return subprocess.run([sys.executable, '-c', {program!r}], capture_output=True, text=True).stdout",
    )
    start(bench)
    memory = (256 * MB, 256 * MB + RESERVE_BYTES)
    files = (128, 128 + RESERVE_FILES)
    nice = min(19, os.nice(0) + 3)
    assert bench.run("hungry").payload.strip() == f"{memory} {files} {(0, 0)} {nice}"


def test_importing_a_sense_is_limited_as_well(bench):
    """RUN-5, BOOT-3"""
    bench.sense("greedy", "much = bytes(2_000_000_000)\ndef compute(db, peers, ctx): pass")
    bench.sense("healthy", HEALTHY)
    reports = bench.start(limits=LIMITS)
    assert "MemoryError" in reports["greedy"].fault.message
    assert bench.run("healthy").type == "signal"


def fault_of(error):
    return name_limit(Fault(kind="error", message="it"), error, "g", GroupConfig()).kind


def raised(error, *, under=None, cause=None):
    try:
        try:
            raise under or ValueError
        except Exception:
            raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.EMFILE, "too many"), "open_files"),
        (raised(RuntimeError("wrapped"), cause=MemoryError()), "memory"),
        (raised(RuntimeError("wrapped"), cause=OSError(errno.EMFILE, "too many")), "open_files"),
        (ExceptionGroup("tasks", [ValueError(), MemoryError()]), "memory"),
        (OSError(errno.ENOMEM, "no memory for a fork"), "memory"),
        (OSError(errno.ENFILE, "the whole machine's"), "error"),
        (ValueError("no limit"), "error"),
    ],
)
def test_the_limit_behind_an_exception_is_found(error, kind):
    """RUN-5"""
    assert fault_of(error) == kind


def test_a_chain_without_end_is_not_followed_to_its_end():
    """RUN-5"""
    first, second = ValueError(), ValueError()
    first.__context__, second.__context__ = second, first
    assert fault_of(first) == "error"
    error = MemoryError()
    for _ in range(MAX_LINKS):
        error = raised(ValueError(), cause=error)
    assert fault_of(error) == "error"


def test_a_limit_of_the_machine_that_is_lower_stays(monkeypatch):
    """RUN-6"""
    set_to = []
    hard = 10 * RESERVE_BYTES
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: set_to.append((kind, limit)))
    with Lowered(GroupConfig()):
        assert (resource.RLIMIT_DATA, (hard - RESERVE_BYTES, hard)) in set_to


def test_a_hard_limit_that_a_sense_has_lowered_is_lived_with(monkeypatch):
    """RUN-5"""
    lowered, set_to = Lowered(GroupConfig()), []

    def refuse_more_than_100(kind, limit):
        if limit[1] > 100:
            raise ValueError("not allowed to raise maximum limit")
        set_to.append(limit)

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (100, 100))
    monkeypatch.setattr(resource, "setrlimit", refuse_more_than_100)
    with lowered:
        pass
    assert set_to == [(100, 100)] * 4
