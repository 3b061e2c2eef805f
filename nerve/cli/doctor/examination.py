"""Examining step by step, in a process that may hang or die without harm.

A network file system whose server is gone holds whoever asks it for anything, in the kernel,
where not even SIGKILL may reach. So the steps run in a helper, a fork of this process, which tells
what it finds line by line; whoever reads that has a deadline for each step. When it passes, or the
helper dies, that is a finding, the helper is left to its end, and another one goes on with
the next step. A step that needs one that came to nothing is left out, which is
a finding of severity SKIPPED whose message is the name of that one.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nerve.cli.doctor.finding import Finding, LookedInVain, Severity, error
from nerve.cli.doctor.patient import Patient
from nerve.clock import MS_PER_S
from nerve.errors import NerveError
from nerve.process.kernel import die_with_parent, is_runnable
from nerve.process.tree import kill_tree, wait_for_end

STEP_TIMEOUT_S = 5.0
"""For a step that says nothing else: a few looks at a disk."""
END_TIMEOUT_S = 1.0
"""For a killed helper; one in the kernel's hands is left behind."""
BUSY_TIMEOUT_S = 30.0
"""The same for a helper that waits for nothing but the processor, on a machine with much to do."""
LOOK_S = 0.5
"""Between two looks whether that is so."""
PATIENCE_S = 2.0
"""After this a person is told what is waited for."""
READ_BYTES = 64 * 1024

MakePatient = Callable[[Collection[str]], Patient]
"""Makes what is examined; it is told which steps have come to nothing so far."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to look at.

    Attributes:
        look: yields findings. NerveError and LookedInVain end it, and leave out the steps
            that need it.
        needs: names of earlier steps.
        what: what may not answer, for a person; else it is the state directory.
    """

    name: str
    look: Callable[[Patient], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    what: str = ""
    timeout_s: float = STEP_TIMEOUT_S


def examine(
    steps: Sequence[Step],
    patient: MakePatient,
    *,
    waiting: Callable[[Step], object] = lambda _: None,
) -> Iterator[tuple[Step, Finding]]:
    """Run all steps; yield what each has found.

    `waiting` is called when one takes longer than PATIENCE_S.
    """
    vain: dict[str, str] = {}
    at = 0
    while at < len(steps):
        helper = _Helper(steps[at:], patient, dict(vain))
        try:
            for step, found in helper.findings(waiting):
                if isinstance(found, str):
                    vain[step.name] = found
                else:
                    yield step, found
        finally:
            helper.end()
        if helper.step is None:
            return
        yield helper.step, helper.failure()
        vain[helper.step.name] = helper.step.name
        at = steps.index(helper.step) + 1


class _Helper:
    """A forked process that runs steps, and the pipe on which it tells of them."""

    def __init__(
        self,
        steps: Sequence[Step],
        patient: MakePatient,
        vain: dict[str, str],
    ) -> None:
        self._steps = {step.name: step for step in steps}
        self._has_hung = False
        self._status = 0
        self._what = ""
        self._began = time.monotonic()
        self._is_told = False
        self.step: Step | None = steps[0]
        """The one that runs; None when all have ended."""
        self._out, inner = os.pipe()
        parent = os.getpid()
        try:
            self._pid = os.fork()
        except OSError as refused:
            hint = "end some processes of this user, or raise the limit on them"
            raise NerveError(
                f"no process can be started: {refused.strerror}", hint=hint
            ) from refused
        if self._pid == 0:
            _serve(steps, patient, vain, inner, parent)
        os.close(inner)

    def findings(self, waiting: Callable[[Step], object]) -> Iterator[tuple[Step, Finding | str]]:
        """Yield what is found; for a step that came to nothing, which one is the reason."""
        for kind, name, *rest in self._lines(waiting):
            if kind == "begin":
                self.step, self._what = self._steps[name], "nerve.yaml"
                self._began, self._is_told = time.monotonic(), False
            elif kind == "what":
                (self._what,) = rest
            elif kind == "vain":
                yield self._steps[name], rest[0]
            elif kind == "found":
                yield self._steps[name], Finding(Severity(rest[0]), *rest[1:])
            else:
                self.step = None
                return

    def failure(self) -> Finding:
        """Say why the step that ran has not ended."""
        assert self.step is not None  # noqa: S101  it is asked for that reason
        if self._has_hung:
            return error(
                f"{self._what} did not answer within {self.step.timeout_s:.0f} s",
                why="whatever asks it for something waits with it, nerve as well",
                hint="the kernel's log and `mount` say more; a network file system may have lost "
                "its server",
            )
        code = os.waitstatus_to_exitcode(self._status)
        ended = (
            f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        )
        return error(
            f"looking at {self._what} ended the process that did so: {ended}",
            hint="a damaged file, a faulty disk, or too little memory can do that",
        )

    def end(self) -> None:
        """Kill it where it still runs, with all it has started; wait for it, but not for long."""
        if self.step is not None or self._has_hung:
            kill_tree(self._pid)
        wait_for_end([self._pid], END_TIMEOUT_S)
        _, self._status = os.waitpid(self._pid, os.WNOHANG)
        os.close(self._out)

    def _lines(self, waiting: Callable[[Step], object]) -> Iterator[list[Any]]:
        rest = b""
        while received := self._read(waiting):
            *lines, rest = (rest + received).split(b"\n")
            yield from map(json.loads, lines)

    def _read(self, waiting: Callable[[Step], object]) -> bytes:
        """Read what comes next; nothing when it has ended, or the step's time is over."""
        ready = select.poll()
        ready.register(self._out, select.POLLIN)
        assert self.step is not None  # noqa: S101  it is None only after the last line
        while (left_s := self._left_s(self.step)) > 0:
            if ready.poll((left_s if self._is_told else min(left_s, PATIENCE_S)) * MS_PER_S):
                return os.read(self._out, READ_BYTES)
            if not self._is_told:
                self._is_told = True
                waiting(self.step)
        self._has_hung = True
        return b""

    def _left_s(self, step: Step) -> float:
        """How long to wait before the next look; 0 or less when it is over."""
        taken_s = time.monotonic() - self._began
        left_s = step.timeout_s - taken_s
        is_busy = left_s <= 0 and taken_s < BUSY_TIMEOUT_S and is_runnable(self._pid)
        return LOOK_S if is_busy else left_s


def _serve(
    steps: Sequence[Step],
    patient: MakePatient,
    vain: dict[str, str],
    out: int,
    parent: int,
) -> None:
    """Run in the helper; does not return."""
    code = 1
    try:
        die_with_parent(parent)
        _look(steps, patient(vain), vain, out)
        code = 0
    except KeyboardInterrupt:
        code = 0
    finally:
        os._exit(code)


def _look(steps: Sequence[Step], patient: Patient, vain: dict[str, str], out: int) -> None:
    def tell(*line: object) -> None:
        rest = json.dumps(line).encode() + b"\n"
        while rest:
            rest = rest[os.write(out, rest) :]

    for step in steps:
        tell("begin", step.name)
        try:
            tell("what", step.name, step.what or f"the state directory {patient.place}")
            for found in _findings(step, patient, vain):
                tell("found", step.name, found.severity, found.message, found.why, found.hint)
        except LookedInVain as ended:
            vain.setdefault(step.name, str(ended) or step.name)
            tell("vain", step.name, vain[step.name])
    tell("end", "")


def _findings(step: Step, patient: Patient, vain: dict[str, str]) -> Iterator[Finding]:
    if reasons := [vain[need] for need in step.needs if need in vain]:
        yield Finding(Severity.SKIPPED, reasons[0])
        raise LookedInVain(reasons[0])
    try:
        yield from step.look(patient)
    except LookedInVain as ended:
        if ended.args:
            yield Finding(Severity.SKIPPED, str(ended))
        raise
    except NerveError as found:
        yield error(str(found), hint=found.hint)
        raise LookedInVain from found
    except OSError as refused:
        where = f"{refused.filename}: " if refused.filename else ""
        yield error(f"{where}{refused.strerror or refused}")
        raise LookedInVain from refused
    except Exception as fault:  # one step's fault is none of the others'
        yield error(f"an error of nerve itself: {type(fault).__name__}: {fault}", hint="report it")
        raise LookedInVain from fault
