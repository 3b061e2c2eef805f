"""A nerve to be killed: a process of its own, ten busy workers, three grandchildren each.

Every process of it bears a mark in its environment, and is held by a pidfd from before
the kill, so that no other process is taken for it later. Whoever starts one must `end` it.
"""

import os
import secrets
import select
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

from nerve.process.kernel import children, is_alive
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir

GROUPS = 10
GRANDCHILDREN = 3
MARK = "NERVE_DOOMED"
START_PATIENCE_S = 60.0
GONE_PATIENCE_S = 3.0
POLL_S = 0.01
MS_PER_S = 1_000
SENSE = '''
"""Starts one child in its group, one that calls setsid, one that is orphaned; then is busy."""

import itertools
import subprocess
from pathlib import Path


def compute(db, peers, ctx):
    subprocess.Popen(["sleep", "1000"])
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    subprocess.run(["sh", "-c", "setsid sleep 1000 &"], check=True)
    Path("busy", ctx.name).touch()
    if ctx.options["in_c"]:
        return sum(itertools.repeat(1, 10**13))  # hours inside C, and never the GIL given up
    while True:
        sum(range(1000))
'''


def make_project(folder: Path, *, in_c: int) -> None:
    """Write a project, the first `in_c` of whose senses are busy in C and the others in Python."""
    (folder / "busy").mkdir(parents=True)
    (folder / "senses").mkdir()
    lines = ["senses:"]
    for number in range(GROUPS):
        (folder / "senses" / f"busy_{number}.py").write_text(SENSE)
        options = f"options: {{in_c: {str(number < in_c).lower()}}}"
        lines.append(f"  busy-{number}: {{group: group-{number}, timeout: 1h, {options}}}")
    lines.append("reflexes:")
    lines += [
        f"  - {{kind: sense, sense: busy-{number}, interval: 1h, align: false}}"
        for number in range(GROUPS)
    ]
    (folder / "nerve.yaml").write_text("\n".join(lines) + "\n")


class Doomed:
    """A running nerve whose workers are all busy."""

    def __init__(self, folder: Path) -> None:
        """Start it over the project in `folder`; returns once every sense is busy."""
        self._folder = folder
        self._mark = secrets.token_hex(8)
        for busy in (folder / "busy").iterdir():
            busy.unlink()
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "nerve", "run"],
            cwd=folder,
            env={**os.environ, MARK: self._mark},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def await_busy(self) -> None:
        """Wait until every sense is busy; raises TimeoutError."""
        give_up = time.monotonic() + START_PATIENCE_S
        while len(list((self._folder / "busy").iterdir())) < GROUPS:
            if time.monotonic() > give_up or self._parent.poll() is not None:
                raise TimeoutError("the senses did not become busy")
            time.sleep(POLL_S)

    @property
    def parent(self) -> int:
        """Process id of the parent, and of its process group."""
        return self._parent.pid

    @property
    def sentry(self) -> int:
        """Process id of the sentry: of the parent's children the one that has a child."""
        return max(children(self.parent), key=lambda pid: len(children(pid)))

    @property
    def fork_server(self) -> int:
        """Process id of the fork server, the sentry's child."""
        return children(self.sentry)[0]

    def processes(self) -> list[int]:
        """Process ids of all that bear the mark and live."""
        wanted = f"{MARK}={self._mark}".encode()
        return [pid for pid in _all_pids() if is_alive(pid) and wanted in _environment(pid)]

    def wait_for_end(self, pidfds: list[int]) -> int:
        """Wait until all that the pidfds hold has ended; return how many have not in time."""
        waiting = set(pidfds)
        poll = select.poll()
        for descriptor in waiting:
            poll.register(descriptor, select.POLLIN)
        give_up = time.monotonic() + GONE_PATIENCE_S
        while waiting and (left_s := give_up - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left_s * MS_PER_S):
                poll.unregister(descriptor)
                waiting.discard(descriptor)
        return len(waiting)

    def end(self) -> list[str]:
        """Kill what is left; return what that was."""
        self._parent.kill()
        self._parent.wait()
        left = self.processes()
        names = [_command(pid) for pid in left]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return names


def shared_memory(pids: list[int]) -> set[Path]:
    """Files in /dev/shm, where semaphores lie too, that any of the processes has mapped."""
    return {Path(f"/dev/shm/{name}") for pid in pids for name in _mapped(pid)}  # noqa: S108  its place


def _mapped(pid: int) -> set[str]:
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # gone
        return set()
    lines = (line.rpartition(" /dev/shm/") for line in maps.splitlines())
    return {name for _, found, name in lines if found and not name.endswith("(deleted)")}


def pidfds(pids: list[int], stack: ExitStack) -> list[int]:
    """Hold each process by a descriptor that the stack closes."""
    held = [os.pidfd_open(pid) for pid in pids]
    for descriptor in held:
        stack.callback(os.close, descriptor)
    return held


def crashes_told(folder: Path) -> set[int]:
    """Process ids of the parents that later starts have found to have crashed."""
    query = "SELECT payload ->> 'pid' FROM logs WHERE type = 'nerve.crashed'"
    with closing(open_reader(StateDir(folder / "data").journal_path)) as reader:
        return {pid for (pid,) in reader.execute(query)}


def _all_pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return "(gone)"
