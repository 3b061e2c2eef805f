import os
import subprocess
import sys

from benchmarks.usage import Usage


def usage_of_a_process(source):
    with subprocess.Popen(
        [sys.executable, "-c", f"{source}\nprint(flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        usage = Usage.of([process.pid])
        process.communicate(b"\n")
    return usage


def test_processor_time_of_all_threads_is_counted():
    burn = "import time\ndef burn():\n    while time.thread_time() < 0.05: pass"
    threads = "from threading import Event, Thread\nburnt = Event()"
    other = "Thread(target=lambda: (burn(), burnt.set(), Event().wait()), daemon=True).start()"
    source = f"{burn}\n{threads}\n{other}\nburnt.wait(); burn()"
    assert usage_of_a_process(source).cpu_ns > 0.1e9


def test_a_sleep_is_a_wake_up():
    sleep = "import time\nfor _ in range({}): time.sleep(0.0002)"
    few, many = (usage_of_a_process(sleep.format(times)).wakeups for times in (1, 1_001))
    assert many - few > 500  # a start has its own, and not always as many


def test_several_processes_are_counted_together():
    own = Usage.of([os.getpid()])
    twice = Usage.of([os.getpid(), os.getpid()])
    assert twice.cpu_ns >= 2 * own.cpu_ns
    assert twice.wakeups >= 2 * own.wakeups
