import os
import random
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerve.process import slate
from nerve.process.kernel import machine_boot, start_ticks
from nerve.process.slate import PAGE_BYTES, Owner, Phase, Slate, create, read_line, read_owner

KILLS = 12
WRITER = """
import sys
from pathlib import Path
from nerve.process.slate import Phase, Slate
slate = Slate(Path(sys.argv[1]), generation=3, boot="boot")
slate.write(Phase.STARTING)
print(flush=True)
n = 0
while True:
    n += 1
    slate.write(Phase.COMPUTING, f"sense-{n}", n)
"""


def made(tmp_path):
    path = tmp_path / "slate"
    create(path)
    return path, Slate(path, generation=3, boot="abc")


def test_what_was_written_last_is_read_with_its_owner(tmp_path):
    """RUN-3"""
    path, mine = made(tmp_path)
    before = time.monotonic()
    mine.write(Phase.LOADING, "disk")
    mine.write(Phase.COMPUTING, "disk", 42)
    line = read_line(path)
    assert (line.phase, line.sense, line.trigger_id) == (Phase.COMPUTING, "disk", 42)
    assert before <= line.since <= time.monotonic()
    owner = Owner(os.getpid(), start_ticks(os.getpid()), machine_boot(), 3, "abc")
    assert read_owner(path) == owner
    assert owner.is_alive


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_line(tmp_path, programs):
    """RUN-3"""
    chance = random.Random(7)
    for n in range(KILLS):
        path = tmp_path / str(n)
        create(path)
        writer, _ = programs.say(WRITER, path)
        time.sleep(chance.uniform(0, 0.02))  # any moment is the point of it
        writer.kill()
        writer.wait(30)
        line = read_line(path)
        if line.phase is Phase.COMPUTING:
            assert line.sense == f"sense-{line.trigger_id}"
        assert not read_owner(path).is_alive


def test_the_line_that_holds_stays_while_the_next_is_half_written(tmp_path):
    """RUN-3"""
    path, mine = made(tmp_path)
    mine.write(Phase.COMPUTING, "first", 1)
    at = slate._LINES[mine._turn ^ 1]
    mine._map[at : at + 20] = b"\xff" * 20
    assert read_line(path).sense == "first"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=PAGE_BYTES), st.integers(0, PAGE_BYTES))
def test_what_a_sense_has_scribbled_is_a_line_or_none(tmp_path, garbage, at):
    """RUN-5"""
    path = tmp_path / "slate"
    create(path)
    Slate(path, generation=3, boot="abc").write(Phase.COMPUTING, "disk", 42)
    page = bytearray(path.read_bytes())
    page[at : at + len(garbage)] = garbage
    path.write_bytes(page[:PAGE_BYTES])
    line, owner = read_line(path), read_owner(path)
    assert line is None or isinstance(line.phase, Phase)
    assert owner is None or isinstance(owner.is_alive, bool)


def test_what_was_scribbled_over_cut_or_never_begun_cannot_be_read(tmp_path):
    """RUN-5"""
    path, mine = made(tmp_path)
    mine.write(Phase.IDLE)
    for damage in (b"\xff" * PAGE_BYTES, path.read_bytes()[:-1], b""):
        path.write_bytes(damage)
        assert (read_line(path), read_owner(path)) == (None, None)
    path.unlink()
    assert (read_line(path), read_owner(path)) == (None, None)


def test_another_process_with_the_same_number_is_not_the_owner():
    """RUN-10"""
    me = Owner(os.getpid(), start_ticks(os.getpid()), machine_boot(), 1, "b")
    assert me.is_alive
    others = [(me.ticks + 1, me.machine_boot), (me.ticks, "another-boot-of-the-machine")]
    assert not any(Owner(me.pid, *other, 1, "b").is_alive for other in others)


def test_a_new_slate_is_not_the_file_that_an_old_process_still_holds(tmp_path):
    """RUN-10"""
    path, old = made(tmp_path)
    create(path)
    old.write(Phase.COMPUTING, "late", 1)
    assert read_line(path) is None
