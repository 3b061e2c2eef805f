"""From a worker that hangs, or was killed, to the next result, beside a kill and a fork.

The section's process is nerve's parent. A floor kills its child, waits for it through a pidfd and
forks the next one, which opens a WAL database, says so, inserts a row and says that. All take
turns. nerve's `ready` is where the parent takes it, before that is recorded; a result is
a durable signal.
"""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.deaths import DEATHS, forgive_deaths
from benchmarks.figures import Extent, Figure, Finding, Note, p50
from benchmarks.floor_process import WORKER_IMPORTS, FloorProcess, floor_processes
from benchmarks.peers.hanging import CANNOT, recovered_ns
from benchmarks.projects import HANGING_ALLOWANCE_MS, make_hanging_project
from benchmarks.runtime import Nerve
from benchmarks.starters import PEERS, Peer, present

NS_PER_MS = 1_000_000
FLOORS = {"kill and fork, a worker's imports": WORKER_IMPORTS, "bare kill and fork": ()}
KILLED, READY, RESULT = (
    "SIGKILL of an idle worker to ready",
    "hard deadline to ready",
    "hard deadline to the next result",
)
COUNTERPART = {KILLED: "up", READY: "up", RESULT: "result"}
"""Which of a floor's times stands beside which of nerve's."""
PAUSES_S = {"Pebble": (0.5,) * 4, "Celery": (0.5, 1.5, 2.5, 3.5, 4.5)}
"""Before each hanging task of a peer. Celery looks after its processes every 5 s, and what was
killed may have to wait until it does; so its pauses are spread over those."""
PAUSES_QUICK_S: dict[str, tuple[float, ...]] = {"Pebble": (0.5,), "Celery": ()}

Values = dict[str, float]
"""The medians of one block, in milliseconds."""


def measure(folder: Path, extent: Extent) -> list[Finding]:
    """Nerve, its floors, and who else gets over a task that hangs."""
    forgive_deaths()
    blocks, kills = extent.of(12, 2, 1), extent.of(5, 2, 1)
    with floor_processes(folder, FLOORS) as floors:
        nerve, beside = asyncio.run(_alternate(folder, floors, blocks, kills))
        figures = [
            Figure(f"{what}, p50", name, "ms", _column(nerve, what), _column(values, of_floor))
            for what, of_floor in COUNTERPART.items()
            for name, values in beside.items()
        ]
        return [*figures, *_peers(folder, floors[-1], extent.of(PAUSES_S, PAUSES_QUICK_S, {}))]


async def _alternate(
    folder: Path, floors: Sequence[FloorProcess], blocks: int, kills: int
) -> tuple[list[Values], dict[str, list[Values]]]:
    """Take turns; the first block, of one death each, is for warming up."""
    nerve: list[Values] = []
    beside: dict[str, list[Values]] = {floor.name: [] for floor in floors}
    async with Nerve.running(make_hanging_project(folder / "nerve"), DEATHS) as (running, _):
        for count in (1, *[kills] * blocks):
            nerve.append(await _nerves_turn(running, count))
            for floor in floors:
                beside[floor.name].append(_floors_turn(floor, count))
    return nerve[1:], {name: values[1:] for name, values in beside.items()}


async def _nerves_turn(nerve: Nerve, kills: int) -> Values:
    killed = [await nerve.replaced_ns() for _ in range(kills)]
    recovered = [await nerve.recovered_ns() for _ in range(kills)]
    times = (killed, *zip(*recovered, strict=True))
    return {what: p50(ns) / NS_PER_MS for what, ns in zip(COUNTERPART, times, strict=True)}


def _floors_turn(floor: FloorProcess, kills: int) -> Values:
    times: dict[str, list[int]] = floor.ask("replace", count=kills)
    return {what: p50(ns) / NS_PER_MS for what, ns in times.items()}


def _peers(
    folder: Path, floor: FloorProcess, pauses: Mapping[str, Sequence[float]]
) -> list[Finding]:
    """Those that can, each alone; `pauses` has an entry for each of their values."""
    here, notes = present([peer for peer in PEERS if peer.name in pauses])
    found: list[Finding] = [note for note in notes if note.who in pauses]
    found += [Note(who, why) for who, why in CANNOT.items()]
    for peer in here:
        try:
            found.append(_peer(folder, floor, peer, pauses[peer.name]))
        except subprocess.SubprocessError as error:
            found.append(Note(peer.name, f"failed: {error}"))
    return found


def _peer(folder: Path, floor: FloorProcess, peer: Peer, pauses: Sequence[float]) -> Finding:
    if not pauses:
        return Note(peer.name, "left out of a quick run")
    values, beside = [], []
    for block, pause_s in enumerate(pauses):
        place = folder / f"{peer.name}-{block}"
        values.append(recovered_ns(peer.name, place, HANGING_ALLOWANCE_MS, pause_s) / NS_PER_MS)
        beside.append(_floors_turn(floor, 1)[COUNTERPART[RESULT]])
    return Figure(f"{RESULT}, p50", floor.name, "ms", values, beside, who=peer.full_name)


def _column(values: Sequence[Values], name: str) -> list[float]:
    return [block[name] for block in values]
