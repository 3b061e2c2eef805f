"""Who takes part in a dispatch, and whose turn it is.

Each is a process of its own that is warm, and stands still while another has its turn: one that
polls would disturb the others. Who dies is left out, and a note says so by its name.
"""

import contextlib
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.durability import Durability
from benchmarks.figures import Note
from benchmarks.line_process import Died, LineProcess
from benchmarks.placement import Placement, place

FLOOR, NERVE = "floor", "nerve"
SEED = 1
"""Of the order of turns, the same in every run."""
EACH, GROUPED = "each", "grouped"
"""How a caller stores results: each in a commit of its own, or what has come by then in one."""


class Contestant:
    """One who takes part; it stands still but for its turns.

    Attributes:
        name: what figures call it.
        processes: the one to ask, for each durability that it can have.
        commits: how its caller stores results.
    """

    def __init__(
        self,
        name: str,
        processes: Mapping[Durability, LineProcess],
        commits: Collection[str],
        **always: Any,
    ) -> None:
        """`always` is part of each request."""
        self.name = name
        self.processes = processes
        self.commits = commits
        self._always = always

    def turn(self, do: str, durability: Durability, **arguments: Any) -> Any:
        """Have something done; raises Died."""
        process = self.processes[durability]
        both = {"child": durability.worker, "parent": durability.caller}
        process.go_on()
        answer = process.ask(do, **both, **arguments, **self._always)
        process.stop()
        return answer

    def close(self) -> None:
        """End it with all below it."""
        for process in set(self.processes.values()):
            process.go_on()
            process.close()


class Field:
    """All who take part.

    Attributes:
        contestants: the floor first, where it takes part.
        notes: on who does not, and why.
    """

    def __init__(self) -> None:
        self.contestants: list[Contestant] = []
        self.notes: list[Note] = []
        self._draw = random.Random(SEED)  # noqa: S311  for fairness, and not for secrets

    @property
    def names(self) -> list[str]:
        """Of those who are left."""
        return [contestant.name for contestant in self.contestants]

    def add(self, contestant: Contestant, placement: Placement) -> None:
        """Let one take part, if it gets as far as its first results."""
        self.contestants.append(contestant)
        workers: set[int] = set()
        for durability in contestant.processes:
            if contestant in self.contestants:
                for pids in self._turn(contestant, "workers", durability).values():
                    workers.update(pids)
        if contestant in self.contestants:
            for process in set(contestant.processes.values()):
                place(process.pid, workers, placement)

    def turns(
        self, do: str, durability: Durability, commits: str = "", **arguments: Any
    ) -> dict[str, Any]:
        """Have something done by one after the other, in an order that is drawn; answers by name.

        Those who cannot have this durability, or commit so, are passed over. Who dies over it
        takes part no longer; raises Died if that is the floor.
        """
        answers: dict[str, Any] = {}
        # What one leaves to the disk and the caches is then not always the same one's.
        for contestant in self._draw.sample(self.contestants, len(self.contestants)):
            does = not commits or commits in contestant.commits
            if does and durability in contestant.processes:
                answers |= self._turn(contestant, do, durability, **arguments)
        return answers

    def _turn(
        self, contestant: Contestant, do: str, durability: Durability, **arguments: Any
    ) -> dict[str, Any]:
        try:
            return {contestant.name: contestant.turn(do, durability, **arguments)}
        except Died as died:
            if contestant.name == FLOOR:
                raise
            self.contestants.remove(contestant)
            self.notes.append(Note(contestant.name, f"failed: {died}"))
            contestant.close()
            return {}

    def close(self) -> None:
        """End all."""
        for contestant in self.contestants:
            contestant.close()


Start = Callable[[Path], Contestant]
"""Starts one of them; its files lie in a directory that does not exist yet."""


@contextlib.contextmanager
def field(
    folder: Path, starts: Sequence[Start], placement: Placement = Placement.FREE
) -> Iterator[Field]:
    """Start some of them one by one, each until it has answered once and stands still."""
    folder.mkdir()
    contestants = Field()
    try:
        for number, start in enumerate(starts):
            contestants.add(start(folder / str(number)), placement)
        yield contestants
    finally:
        contestants.close()
