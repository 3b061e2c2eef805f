"""Ending a process together with everything it started.

Any process that is an ancestor and a subreaper, or has the right. The order
matters: the root is stopped first, so that it cannot start more, and each
descendant is stopped before it is killed, because a child that forks faster
than it is found would never be caught running. Orphans of killed descendants are
adopted by the root (a subreaper) and found in the next round.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from nerve.clock import MS_PER_S
from nerve.process.kernel import children, is_alive, parent_of

MAX_ROUNDS = 200
"""Rounds of looking for descendants; each ends at least one generation of them."""
DYING_TIMEOUT_S = 1.0
"""In all rounds, for the killed to die: on a busy machine each waits for its turn to do that."""
MAX_AWAITED = 16
"""Of those killed in one round; a descriptor for each is open meanwhile."""


def descendants(pid: int, *, stop: bool = False) -> list[int]:
    """All living processes below `pid`, nearest first, without `pid`.

    With `stop` each is stopped as soon as it is found, and not after all others were: a bomb
    forks faster than a long list is made.
    """
    return [found for found in _below(pid, stop=stop) if is_alive(found)]


def is_below(pid: int, others: AbstractSet[int]) -> bool:
    """Whether one of `others` is an ancestor of a process."""
    seen = {pid}
    while (pid := parent_of(pid)) not in seen | {0}:
        if pid in others:
            return True
        seen.add(pid)
    return False


def _below(pid: int, *, stop: bool) -> list[int]:
    """All processes below `pid`, zombies included, but for children of those that exit meanwhile.

    Such a child belongs to an ancestor by the time that its parent is a zombie; where that
    one's children were read before, it is not found in this round.
    """
    found: list[int] = []
    frontier = [pid]
    while frontier:
        frontier = [child for parent in frontier for child in children(parent)]
        for child in frontier if stop else ():
            send(child, signal.SIGSTOP)
        found += frontier
    return found


def kill_tree(pid: int) -> int:
    """SIGKILL a process and all below it; return how many descendants were killed."""
    send(pid, signal.SIGSTOP)
    killed = kill_descendants(pid)
    send(pid, signal.SIGKILL)
    return killed


def kill_descendants(pid: int) -> int:
    """SIGKILL all below a process that starts no more of them; return how many."""
    killed: set[int] = set()
    dead: set[int] = set()
    give_up = time.monotonic() + DYING_TIMEOUT_S
    for _ in range(MAX_ROUNDS):
        found = _below(pid, stop=True)
        stopped = [descendant for descendant in found if is_alive(descendant)]
        # Nothing but the zombies of the round before: none has exited and left a child meanwhile.
        if not stopped and dead.issuperset(found):
            break
        dead = set(found).difference(stopped)
        for descendant in stopped:
            send(descendant, signal.SIGKILL)
        killed.update(stopped)
        # Or all rounds would be over before the first of them has come to die.
        with contextlib.suppress(OSError):  # no descriptor is left
            wait_for_end(stopped[:MAX_AWAITED], give_up - time.monotonic())
    return len(killed)


def kill_group(leader: int) -> None:
    """SIGKILL what is left of the process group of a leader that has just ended."""
    if leader <= 1:
        raise ValueError(f"process group {leader} is everybody's")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def wait_for_end(pids: Iterable[int], timeout_s: float) -> bool:
    """Wait until none of these processes runs any more; False when that takes longer."""
    with contextlib.ExitStack() as held:
        running = select.poll()
        waiting = set[int]()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                held.callback(os.close, descriptor)
                running.register(descriptor, select.POLLIN)
                waiting.add(descriptor)
        give_up = time.monotonic() + timeout_s
        while waiting and (left_s := give_up - time.monotonic()) > 0:
            for descriptor, _ in running.poll(left_s * MS_PER_S):
                running.unregister(descriptor)
                waiting.discard(descriptor)
        return not waiting


def send(pid: int, signal_number: int) -> None:
    """Send a signal to one process; one that is gone already is what was wanted."""
    if pid <= 1:
        raise ValueError(f"process id {pid} is a group, everybody, or init")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal_number)
