import os
import signal
import time

from nerve.process import stack
from nerve.process.slate import create
from nerve.process.stack import readable, stack_of

PREPARED = """
import itertools, os, signal, sys, threading, time
from pathlib import Path
from nerve.process import stack
stack.park_a_thread()
stack.be_readable(Path(sys.argv[1]))
def hangs():
    {body}
print(flush=True)
hangs()
"""
BUSY = "sum(itertools.repeat(1, 10**12))"
MASKED = "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"


def hanging(programs, tmp_path, body, *, then="time.sleep(60)"):
    """A process that has done `body` and does `then`; with the file for its stacks."""
    path = tmp_path / "slate"
    create(path)
    said = f"{body}; os.write(1, b'done\\n'); {then}"
    process, _ = programs.say(PREPARED.format(body=said), path)
    assert process.stdout.readline() == "done\n"
    return process, path


def test_a_process_that_holds_the_gil_in_c_with_all_signals_masked_tells_its_stack(
    programs, tmp_path
):
    """RUN-3"""
    process, path = hanging(programs, tmp_path, MASKED, then=BUSY)
    assert " in hangs" in stack_of(process.pid, path)


def test_a_process_that_has_closed_its_descriptors_is_described_as_the_kernel_sees_it(
    programs, tmp_path
):
    """RUN-3, RUN-5"""
    process, path = hanging(programs, tmp_path, "os.closerange(3, 4096)")
    told = stack_of(process.pid, path)
    assert told.startswith("it writes no Python stack; State:")
    assert "sleeping" in told


def test_a_stopped_process_tells_its_stack(programs, tmp_path):
    """RUN-3, RUN-5"""
    process, path = hanging(programs, tmp_path, "pass")
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert " in hangs" in stack_of(process.pid, path)


def test_a_process_that_is_gone_tells_nothing_and_takes_no_time(programs, tmp_path):
    """MSG-5"""
    path = tmp_path / "slate"
    create(path)
    process = programs.start("")
    process.wait(30)
    began = time.monotonic()
    assert stack_of(process.pid, path) == ""
    assert time.monotonic() - began < 10


HEADING = "Current thread 0x1 (most recent call first):"
AUTHORS = '  File "/home/me/senses/disk/__init__.py", line 3 in compute'
OURS = f'  {stack._NERVE}worker/executor.py", line 99 in _run'


def test_who_called_the_authors_code_is_cut_off():
    main = f"{HEADING}\n{AUTHORS}\n{OURS}\n{OURS}"
    assert readable(main) == f"{HEADING}\n{AUTHORS}"


def test_a_stack_of_nerves_own_frames_alone_stays_whole():
    main = f"{HEADING}\n{OURS}"
    assert readable(main) == main


def test_nerves_frames_above_the_authors_stay_as_he_called_them():
    main = f"{HEADING}\n{OURS}\n{AUTHORS}\n{OURS}"
    assert readable(main) == "\n".join(main.splitlines()[:-1])


def test_the_list_of_extension_modules_is_left_out():
    main = f"{HEADING}\n{AUTHORS}"
    assert readable(f"{main}\n\nExtension modules: a, b (total: 2)\n") == main
    assert readable("") == ""
