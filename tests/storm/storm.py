"""The storm itself: one nerve after the other over one state directory, killed by plan.

A blow whose victim is not there waits for it; a parent that was killed is started again at
once. At the end nerve is stopped in an orderly way, run once so that all that was told is
answered, and everything is read. With hands in it, two operators act all the while, and what they
were answered has to hold as well.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nerve.process.tree import descendants
from tests.storm import project, reading
from tests.storm.hand import BUILDER, KEEPER, Hand, acts
from tests.storm.plan import Blow
from tests.storm.verdict import Evidence, disagreements

ENTRY = Path(__file__).with_name("entry.py")
VICTIM_PATIENCE_S = 30.0
STOP_PATIENCE_S = 60.0
GONE_PATIENCE_S = 5.0
ANSWERED_WITHIN_S = 90.0
"""After the last blow, whatever an operator has asked last."""
POLL_S = 0.005
MAX_UNASKED = 5
"""Exits that nobody had caused, until the storm is called off."""
FORK_SERVERS = {"nerve: forks", "nerve: sentry"}
"""Whichever of the two is killed, in the end another pair takes over."""
MAX_LAST_WORDS_CHARS = 2_000


@dataclass(frozen=True)
class Outcome:
    """What a storm came to."""

    kills: Counter
    answers: Counter
    starts: int
    evidence: Evidence
    disagreements: list[str]
    seconds: float

    def __str__(self) -> str:
        kept = self.evidence.kept.values()
        rows, left_out = sum(len(k.rows) for k in kept), sum(k.left_out for k in kept)
        kills = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items()))
        lines = [
            f"kills          {self.kills.total()} ({kills})",
            f"parent started {self.starts} times",
            f"asked          {self.answers.total()}",
            *(f"  {word:28} {count}" for word, count in sorted(self.answers.items())),
            f"signals        {len(self.evidence.signals)}",
            f"rows           {rows}, signals left out of a cause {left_out}",
            f"seconds        {self.seconds:.1f}",
            f"disagreements  {len(self.disagreements)}",
            *(f"  {one}" for one in self.disagreements),
        ]
        return "\n".join(lines)


class Victim:
    """A nerve that is killed and started again, with all that is below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mark = secrets.token_hex(8)
        self.starts = 0
        self.unasked: list[str] = []
        # Not below `root`, which may be too long for a socket.
        self.temporary = Path(tempfile.mkdtemp(prefix="storm-"))
        (root / "tmp").symlink_to(self.temporary)
        environment = {"TMPDIR": str(self.temporary), reading.MARK: self.mark, "PYTHONWARNINGS": ""}
        self._environment = {**os.environ, **environment}
        self._parent = self._start()

    def _start(self, *arguments: str) -> subprocess.Popen:
        self.starts += 1
        with (self.root / "stderr.txt").open("ab") as stderr:
            return subprocess.Popen(
                [sys.executable, str(ENTRY), *arguments],
                cwd=self.root,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=self._environment,
            )

    def strike(self, blow: Blow) -> None:
        """Kill one process of the kind; raises TimeoutError when there is none for long."""
        give_up = time.monotonic() + VICTIM_PATIENCE_S
        while not (found := self._of_kind(blow.kind)):
            if time.monotonic() > give_up:
                waited = f"no {blow.kind} for {VICTIM_PATIENCE_S:.0f} s"
                raise TimeoutError(f"{waited} in {self.root}: {self._last_words()}")
            self._revive()
            time.sleep(POLL_S)
        _kill(found[blow.choice % len(found)])
        if blow.kind == "parent":
            self._parent.wait(STOP_PATIENCE_S)
            self._parent = self._start()

    def _of_kind(self, kind: str) -> list[int]:
        if kind == "parent":
            return [self._parent.pid]
        named = {pid: _name(pid) for pid in descendants(self._parent.pid)}
        wanted = FORK_SERVERS if kind == "fork server" else set(named.values()) - FORK_SERVERS
        return sorted(pid for pid, name in named.items() if name in wanted - {""})

    def _revive(self) -> None:
        if (code := self._parent.poll()) is not None:
            self.unasked.append(f"exit code {code}, start {self.starts}; see stderr.txt")
            if len(self.unasked) > MAX_UNASKED:
                raise RuntimeError(f"it does not stay up in {self.root}: {self._last_words()}")
            self._parent = self._start()

    def _last_words(self) -> str:
        return (self.root / "stderr.txt").read_text()[-MAX_LAST_WORDS_CHARS:]

    def end(self) -> None:
        """Stop it in an orderly way; then let all that is left be answered."""
        self._revive()
        self._await_readiness()
        self._parent.terminate()
        self._expect_success("the orderly stop")
        self._parent = self._start("--once")
        self._expect_success("the last run")
        give_up = time.monotonic() + GONE_PATIENCE_S
        while reading.processes(self.mark) and time.monotonic() < give_up:
            time.sleep(POLL_S)

    def _await_readiness(self) -> None:
        # Before its loop runs, SIGTERM would end it as it ends any process.
        give_up = time.monotonic() + VICTIM_PATIENCE_S
        while not self._of_kind("worker") and time.monotonic() < give_up:
            time.sleep(POLL_S)

    def _expect_success(self, what: str) -> None:
        code = self._parent.wait(STOP_PATIENCE_S)
        if code != 0:
            self.unasked.append(f"exit code {code} of {what}; see stderr.txt")

    def abandon(self) -> None:
        """Leave nothing running, whatever went wrong."""
        self._parent.kill()
        self._parent.wait(STOP_PATIENCE_S)


def rage(root: Path, blows: Iterable[Blow], hands: int | None = None) -> Outcome:
    """Let a storm pass over a new project in `root`, which must not exist; judge the rest.

    With `hands`, a seed, two operators have theirs in it.
    """
    began = time.monotonic()
    kills: Counter = Counter()
    project.write(root)
    victim = Victim(root)
    seeds = () if hands is None else ((hands, KEEPER), (hands + 1, BUILDER))
    operators = [Hand(root, acts(seed, shares)) for seed, shares in seeds]
    try:
        for operator in operators:
            operator.begin(knows_pauses=operator is operators[0])
        for blow in blows:
            time.sleep(blow.delay_s)
            victim.strike(blow)
            kills[blow.kind] += 1
        for operator in operators:
            operator.end(ANSWERED_WITHIN_S)
        for operator in operators[:1]:
            operator.settle()
        victim.end()
    finally:
        victim.abandon()
    evidence = reading.read(root, victim.mark, victim.unasked, operators)
    shutil.rmtree(victim.temporary)
    found = disagreements(evidence)
    answers = sum((operator.answers for operator in operators), Counter())
    return Outcome(kills, answers, victim.starts, evidence, found, time.monotonic() - began)


def _name(pid: int) -> str:
    """How nerve calls a process of its own; empty for any other, and for one not named yet."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
    return name if name.startswith("nerve: ") else ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has just ended, which is what was wanted
        return
