"""The operator's hands in a storm: they pause, trigger, restart and reload while others kill.

What they do is decided by a seed alone; what is answered decides what they expect from then on, and
whatever does not fit is a complaint. Two of them: one pauses, and so knows what is paused; the
other one changes nerve.yaml, and so knows what it says. Each asks one thing after another.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.storm.asking import Gone, Unanswered, ask, pid_behind
from tests.storm.project import GROUPS, SENSES, Setting, configure

KEEPER = {"trigger": 6, "wait": 4, "pause": 3, "resume": 4, "status": 1}
BUILDER = {"trigger": 2, "wait": 2, "restart": 2, "reload": 6, "hangups": 1, "status": 1}
"""What each of the two does, and how often as compared with the rest."""
LONGEST_PAUSE_S = 0.2
MAX_HANGUPS = 5
HARMLESS = frozenset({"busy", "stopping", "invalid", "unavailable", "unknown_sense"})
"""Why something may be refused at any time here. `invalid`: the sense on trial was killed."""
GOOD = frozenset({"signal", "no_signal"})
SETTLED_WITHIN_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True)
class Act:
    """Something that an operator does after `delay_s`; `choice` decides all else about it."""

    kind: str
    choice: int
    delay_s: float


def acts(seed: int, shares: dict[str, int]) -> Iterator[Act]:
    """Yield without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        kind = chance.choices([*shares], [*shares.values()])[0]
        yield Act(kind, chance.randrange(1 << 32), chance.uniform(0, LONGEST_PAUSE_S))


@dataclass
class Promises:
    """What was answered, and so has to be on record whatever happens afterwards.

    Attributes:
        signals: sense and id of each that was told as an outcome.
        counts: sense and reason or outcome, as often as it was told.
        triggers: by sense, how many were said to be durable.
    """

    signals: list[tuple[str, int]] = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    triggers: Counter = field(default_factory=Counter)


class Hand:
    """One operator, in a thread of its own."""

    def __init__(self, root: Path, planned: Iterator[Act]) -> None:
        self.promises = Promises()
        self.answers: Counter = Counter()
        self.complaints: list[str] = []
        self._root = root
        self._planned = planned
        self._setting = Setting()
        self._is_paused: dict[str, bool | None] = dict.fromkeys(SENSES, False)
        self._knows_pauses = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._act, daemon=True)

    def begin(self, *, knows_pauses: bool) -> None:
        """Start to act; whether nobody else pauses anything."""
        self._knows_pauses = knows_pauses
        self._thread.start()

    def end(self, patience_s: float) -> None:
        """Act no more."""
        self._stopping.set()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self.complaints.append(f"something was not answered for {patience_s:.0f} s")

    def settle(self) -> None:
        """Leave everything as it was at the beginning; nothing is killed meanwhile."""
        configure(self._root, Setting())
        give_up = time.monotonic() + SETTLED_WITHIN_S
        steps: list[Callable[[], bool]] = [
            lambda: self._is_good({"type": "reload"}),
            lambda: self._ask({"type": "resume", "targets": [*SENSES]})["type"] == "done",
            lambda: self._has_signalled("other"),  # or the guest had nothing to answer
        ]
        for number, step in enumerate(steps, 1):
            while not self._tried(step):
                if time.monotonic() > give_up:
                    self.complaints.append(f"step {number} to an orderly end did not come about")
                    return
                time.sleep(POLL_S)

    def _tried(self, step: Callable[[], bool]) -> bool:
        with contextlib.suppress(Gone):
            return step()
        return False

    def _is_good(self, request: dict) -> bool:
        reply = self._ask(request)
        return reply["type"] == "done" and reply["is_good"]

    def _has_signalled(self, sense: str) -> bool:
        reply = self._ask({"type": "trigger", "sense": sense, "wait": True})
        return reply["type"] == "done" and reply["facts"]["outcome"] == "signal"

    # --- acting ---------------------------------------------------------------------

    def _act(self) -> None:
        for act in self._planned:
            if self._stopping.wait(act.delay_s):
                return
            try:
                getattr(self, f"_{act.kind}")(random.Random(act.choice))
            except Gone:
                self.answers[f"{act.kind}: gone"] += 1
            except (Unanswered, AssertionError, LookupError) as error:
                self.complaints.append(f"{act.kind}: {type(error).__name__}: {error}")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        reply = ask(self._root / "data" / "nerve.sock", request)
        word = reply.get("kind", reply["type"])
        self.answers[f"{request['type']}: {word}"] += 1
        if reply["type"] == "refused" and word == "internal":
            self.complaints.append(f"{request}: {reply['message']}")
        return reply

    def _expect(self, reply: dict[str, Any], request: dict[str, Any], *kinds: str) -> bool:
        """Whether it is done; a complaint where it is refused for no reason that may be."""
        if reply["type"] == "refused" and reply["kind"] not in HARMLESS.union(kinds):
            self.complaints.append(f"{request} was refused: {reply['kind']}: {reply['message']}")
        return reply["type"] == "done"

    def _trigger(self, chance: random.Random) -> None:
        sense = chance.choice([*SENSES])
        request = {"type": "trigger", "sense": sense}
        reply = self._ask(request)
        self._hold_against_pauses(sense, reply)
        if self._expect(reply, request, "paused") and reply["is_good"]:
            self.promises.triggers[sense] += 1
            self._note(sense, reply["facts"]["decision"])

    def _wait(self, chance: random.Random) -> None:
        sense = chance.choice([*SENSES])
        request = {"type": "trigger", "sense": sense, "wait": True}
        reply = self._ask(request)
        self._hold_against_pauses(sense, reply)
        if not self._expect(reply, request, "paused"):
            return
        facts = reply["facts"]
        if facts["outcome"] == "signal":
            assert facts["signal"] is not None, f"a signal without an id: {reply}"
            self.promises.signals.append((sense, facts["signal"]))
        elif reply["is_good"]:
            self._note(sense, facts["outcome"])

    def _note(self, sense: str, word: str) -> None:
        if word not in {"accepted", "held"}:
            self.promises.counts[sense, word] += 1

    def _hold_against_pauses(self, sense: str, reply: dict[str, Any]) -> None:
        if not self._knows_pauses:
            return
        is_paused = self._is_paused[sense]
        says_so = reply.get("kind") == "paused"
        if is_paused is False and says_so:
            self.complaints.append(f"{sense} is said to be paused, and nobody has paused it")
        if is_paused and reply["type"] == "done":
            self.complaints.append(f"{sense} was paused, and is triggered: {reply}")

    def _pause(self, chance: random.Random) -> None:
        self._hold("pause", chance, is_paused=True)

    def _resume(self, chance: random.Random) -> None:
        self._hold("resume", chance, is_paused=False)

    def _hold(self, what: str, chance: random.Random, *, is_paused: bool) -> None:
        target = chance.choice([*SENSES, *GROUPS])
        request = {"type": what, "targets": [target]}
        before = self._is_paused
        # Until it is answered, it is not known.
        self._is_paused = dict.fromkeys(SENSES) if target in GROUPS else {**before, target: None}
        reply = self._ask(request)
        self._is_paused = before
        if self._expect(reply, request, "unknown_group"):
            known = (told["sense"] for told in reply["facts"]["senses"])
            self._is_paused = {**before, **dict.fromkeys(known, is_paused)}

    def _restart(self, chance: random.Random) -> None:
        names = chance.sample(GROUPS[:4], chance.randint(1, 2))
        request = {"type": "restart", "groups": names}
        self._expect(self._ask(request), request, "unknown_group")

    def _reload(self, chance: random.Random) -> None:
        self._setting = _changed(self._setting, chance)
        configure(self._root, self._setting)
        request = {"type": "reload"}
        if self._expect(self._ask(request), request):
            wanted = {name: self._setting.group_of(name) for name in self._setting.senses()}
            found = self._told_of_senses()
            assert found == wanted, f"reloaded, and the senses are {found} instead of {wanted}"

    def _hangups(self, chance: random.Random) -> None:
        pid = pid_behind(self._root / "data" / "nerve.sock")
        with contextlib.suppress(ProcessLookupError):
            for _ in range(chance.randint(1, MAX_HANGUPS)):
                os.kill(pid, signal.SIGHUP)

    def _status(self, _: random.Random) -> None:
        self._told_of_senses()

    def _told_of_senses(self) -> dict[str, str]:
        reply = self._ask({"type": "status"})
        assert reply["type"] == "status", reply
        return {sense["name"]: sense["group"] for sense in reply["senses"]}


def _changed(setting: Setting, chance: random.Random) -> Setting:
    """Another option, another group, or the guest or its reflex come or gone; now and then all."""
    changes = [_salted, _moved, _with_guest, _with_reflex]
    for change in chance.sample(changes, chance.choice((0, 1, 1, 1, 2, 4))):
        setting = change(setting, chance)
    return setting


def _salted(setting: Setting, chance: random.Random) -> Setting:
    salts = {**setting.salts, chance.choice([*SENSES]): chance.randrange(1000)}
    return replace(setting, salts=salts)


def _moved(setting: Setting, chance: random.Random) -> Setting:
    return replace(
        setting, moved={**setting.moved, chance.choice([*SENSES]): chance.choice(GROUPS)}
    )


def _with_guest(setting: Setting, _: random.Random) -> Setting:
    return replace(setting, has_guest=not setting.has_guest)


def _with_reflex(setting: Setting, _: random.Random) -> Setting:
    return replace(setting, has_reflex=not setting.has_reflex)
