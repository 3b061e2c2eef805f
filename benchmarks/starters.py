"""How the floor, nerve and each peer are started, and which peers are here.

A peer that is not installed or lacks something is left out, and a note says so by its name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from benchmarks.contestants import EACH, FLOOR, GROUPED, NERVE, Contestant, Start
from benchmarks.durability import FULL, NORMAL, Durability
from benchmarks.figures import Note
from benchmarks.floor_process import FloorProcess
from benchmarks.line_process import LineProcess
from benchmarks.peers import redis

WITHOUT_EXTRA = "left out, not installed: pip install -e '.[bench]'"


@dataclass(frozen=True, slots=True)
class Peer:
    """What nerve is set beside.

    Attributes:
        name: without its version.
        kind: the function that makes it, in `benchmarks.peers`.
        distributions: what has to be installed, that with its version first; none for what
            comes with Python.
        commits: GROUPED only where it is cheap to ask which results are there.
    """

    name: str
    kind: str
    distributions: tuple[str, ...] = ()
    commits: tuple[str, ...] = (EACH, GROUPED)
    needs_redis: bool = False

    @property
    def full_name(self) -> str:
        """With its version."""
        return " ".join([self.name, *map(metadata.version, self.distributions[:1])])


PEERS = (
    Peer("Pebble", "pools:pebble", ("pebble",)),
    Peer("multiprocessing.Pool", "pools:PoolPeer"),
    Peer("ProcessPoolExecutor fork", "pools:fork"),
    Peer("ProcessPoolExecutor forkserver", "pools:forkserver"),
    Peer("ProcessPoolExecutor spawn", "pools:spawn"),
    Peer("loky", "pools:loky", ("loky",)),
    Peer("APScheduler", "pools:apscheduler", ("apscheduler",)),
    Peer("Huey", "queues:Huey", ("huey",), commits=(EACH,)),
    Peer("Celery", "queues:Celery", ("celery", "redis"), commits=(EACH,), needs_redis=True),
    Peer("Dramatiq", "queues:Dramatiq", ("dramatiq", "redis"), commits=(EACH,), needs_redis=True),
)


def is_installed(distribution: str) -> bool:
    """Whether a distribution is there."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def present(
    peers: Sequence[Peer],
    *,
    installed: Callable[[str], bool] = is_installed,
    without_redis: Callable[[], str] = redis.lacking,
) -> tuple[list[Peer], list[Note]]:
    """Those who can take part, and for each of the others why it cannot."""
    here: list[Peer] = []
    notes: list[Note] = []
    for peer in peers:
        if not all(map(installed, peer.distributions)):
            notes.append(Note(peer.name, WITHOUT_EXTRA))
        elif peer.needs_redis and (reason := without_redis()):
            notes.append(Note(peer.name, f"left out: {reason}"))
        else:
            here.append(peer)
    return here, notes


def starts(
    peers: Sequence[Peer], durabilities: Sequence[Durability], *, workers: int, senses: int
) -> list[Start]:
    """How to start all of them, with so many workers, and senses in each of nerve's."""
    return [
        partial(_floor, durabilities, workers),
        partial(_nerve, durabilities, workers, senses),
        *(partial(_peer, peer, durabilities, workers) for peer in peers),
    ]


def _floor(durabilities: Sequence[Durability], workers: int, folder: Path) -> Contestant:
    floor = FloorProcess(FLOOR, folder)
    processes = dict.fromkeys(durabilities, floor)
    return Contestant(FLOOR, processes, (EACH, GROUPED), workers=workers)


def _nerve(
    durabilities: Sequence[Durability], workers: int, senses: int, folder: Path
) -> Contestant:
    """One process for each durability of its journal."""
    folder.mkdir()
    processes: dict[Durability, LineProcess] = {}
    for caller in (NORMAL, FULL):
        wanted = [durability for durability in durabilities if durability.caller == caller]
        if wanted:
            process = _nerve_process(folder, caller.lower(), wanted, workers, senses)
            processes |= dict.fromkeys(wanted, process)
    return Contestant(NERVE, processes, (GROUPED,))


def _nerve_process(
    folder: Path, journal: str, wanted: Sequence[Durability], workers: int, senses: int
) -> LineProcess:
    durabilities = [durability.worker.lower() for durability in wanted]
    arguments = [str(folder / journal), journal, str(workers), str(senses), *durabilities]
    errors = folder / f"{journal}.errors"
    return LineProcess(NERVE, "benchmarks.nerve_process", arguments, errors)


def _peer(peer: Peer, durabilities: Sequence[Durability], workers: int, folder: Path) -> Contestant:
    folder.mkdir()
    arguments = (f"benchmarks.peers.{peer.kind}", str(folder), str(workers))
    errors = folder / "errors"
    process = LineProcess(peer.full_name, "benchmarks.peers.serve", arguments, errors)
    return Contestant(peer.full_name, dict.fromkeys(durabilities, process), peer.commits)
