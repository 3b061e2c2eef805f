"""The ends of one group's workers: what each was, who answers for it, and what follows.

Parent, on the loop. `inquest` judges, `restarts` says when the next worker is started; here the one
is told what is known and the other is asked, it is written down, and the sense that answers for it
is struck (`warden`). Whoever gets the verdict (`group`) starts another worker or gives up.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nerve.clock import Clock
from nerve.supervisor.generation import Generation
from nerve.supervisor.hub import Hub, Running
from nerve.supervisor.inflight import InFlight
from nerve.supervisor.inquest import Death, Exit, Killing, Reason, Verdict, judge
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.restarts import DEATHS_WINDOW_S, MAX_DEATHS, Restarts


@dataclass(frozen=True, slots=True)
class Loss:
    """A worker that is no more.

    Attributes:
        worker: None where not even a process could be made.
        suspect: the compute that it ran.
    """

    worker: Generation | None
    ended: Exit
    verdict: Verdict
    suspect: Running | None

    @property
    def pid(self) -> int | None:
        """Which process it was."""
        return self.worker.child.pid if self.worker else None

    @property
    def was_ready(self) -> bool:
        """Whether it had come up."""
        return self.worker is not None and self.worker.was_ready


class Deaths:
    """Those of one group.

    Attributes:
        trouble: what the last worker died of that did.
    """

    def __init__(
        self,
        name: str,
        hub: Hub,
        ledger: Ledger,
        in_flight: InFlight,
        *,
        clock: Clock,
        allowance_s: Callable[[str | None], float],
    ) -> None:
        """`allowance_s(sense)` is its timeout and grace_period; 0 for None."""
        self.trouble = ""
        self._name = name
        self._hub = hub
        self._ledger = ledger
        self._in_flight = in_flight
        self._clock = clock
        self._allowance_s = allowance_s
        self._restarts = Restarts()

    # --- how many -------------------------------------------------------------------

    @property
    def number(self) -> int:
        """How many count against the group now."""
        return self._restarts.recent(self._clock.monotonic())

    def forget(self) -> None:
        """Count from nothing again."""
        self._restarts = Restarts()

    def came_up(self) -> None:
        """A worker was ready."""
        self._restarts.came_up()

    # --- the end of a worker --------------------------------------------------------

    def inquire(self, worker: Generation | None, ended: Exit) -> Loss:
        """Find out what an end was; what ran is suspect from now on."""
        death = self._death_of(worker, ended)
        verdict = judge(death)
        return Loss(worker, ended, verdict, self._in_flight.lose_worker(death, verdict))

    def _death_of(self, worker: Generation | None, ended: Exit) -> Death:
        if worker is None:
            return Death(exit=ended)
        sense, running = self._in_flight.sense, self._in_flight.running
        return worker.death(
            ended,
            dispatched=sense,
            trigger_id=running.trigger_id if running else 0,
            allowance_s=self._allowance_s(sense),
        )

    def tell_stop(self, loss: Loss, *, is_last: bool) -> None:
        """Tell of one that was asked to go; whether it is the last one that this nerve starts."""
        worker, verdict = loss.worker, loss.verdict
        clean = worker is not None and worker.says_stopped and loss.ended.code == 0
        payload = {"pid": loss.pid, "how": str(loss.ended), "clean": clean}
        if not clean:
            payload["message"] = verdict.message
        was_wanted = worker is not None and _is_replaced(worker.killing)
        level = "info" if clean or was_wanted else "warning"
        self._ledger.log(self._name, "worker.stopped", level, payload)
        if verdict.guilty is not None and not is_last:
            # That it was to stop does not excuse what it ran.
            self._strike(verdict, self._ref(self._in_flight.suspects.get(verdict.guilty)))

    def take(self, loss: Loss) -> float | None:
        """Tell of one that died, and hold it against whoever answers for it.

        Returns how many seconds to wait before the next start, or None for: no more.
        """
        verdict, ref = loss.verdict, self._ref(loss.suspect)
        self._tell_death(loss, ref)
        self.trouble = verdict.message
        if not loss.was_ready:
            self._hub.failed(self._name)
        if verdict.guilty is not None:
            self._strike(verdict, ref)
        if loss.ended.bereft_of is not None:
            self._hub.lost_fork_server(self._name, loss.ended.bereft_of, verdict.running)
        return self._delay_s(loss)

    def _tell_death(self, loss: Loss, ref: str | None) -> None:
        worker, verdict = loss.worker, loss.verdict
        payload = {
            "message": verdict.message,
            "pid": loss.pid,
            "how": str(loss.ended),
            "running": verdict.running,
            "guilty": verdict.guilty,
        }
        if worker is not None and worker.killing is not None:
            payload |= {"hint": hint} if (hint := self._hint_for(worker.killing.reason)) else {}
        if worker is not None and (stack := worker.last_words()):
            payload["stack"] = stack
        self._ledger.log(self._name, "worker.died", "error", payload, ref=ref)

    def _hint_for(self, reason: Reason) -> str:
        if reason in {Reason.MEMORY, Reason.PROCESSES}:
            return f"mend the sense, or raise groups.{self._name}.{reason} in nerve.yaml"
        if reason is Reason.HARD_TIMEOUT:
            return "its stack is in worker.hard_timeout; mend it, or raise its timeout"
        return ""

    def _strike(self, verdict: Verdict, ref: str | None) -> None:
        assert verdict.guilty is not None  # noqa: S101  whoever calls has looked
        self._hub.strike(verdict.guilty, loading=verdict.loading, reason=verdict.message, ref=ref)

    def _ref(self, suspect: Running | None) -> str | None:
        return self._ledger.trigger_ref(suspect.trigger_id) if suspect else None

    def _delay_s(self, loss: Loss) -> float | None:
        """At once where somebody answers for it; else by the rules of restarts."""
        now = self._clock.monotonic()
        if loss.ended.bereft_of is not None:
            return self._restarts.bereft_s(now)
        if loss.verdict.counts:
            return self._restarts.delay_s(now, was_ready=loss.was_ready)
        return 0.0

    # --- what else is told of it ----------------------------------------------------

    def tell_given_up(self, last: Verdict) -> None:
        """Tell that no worker is started any more."""
        message = f"{MAX_DEATHS} deaths in a row or within {DEATHS_WINDOW_S:.0f} s"
        payload = {
            "message": f"{message}; not started again; the last: {last.message}",
            "hint": "mend what ends it, see worker.died of this group; "
            f"then `nerve restart {self._name}`",
        }
        self._ledger.log(self._name, "group.fatal", "error", payload)

    def tell_boot_timeout(self, worker: Generation | None, stack: str) -> None:
        """Tell of one that is not ready in time and is being killed."""
        self.trouble = "its worker was not ready in time, and was killed"
        line = worker.line() if worker else None
        doing = f", {line.phase.name.lower()} {line.sense}" if line and line.sense else ""
        payload = {
            "message": f"not ready in time, killed{doing}",
            "stack": stack,
            "hint": "`nerve check` tells which one hangs; a long migration can be made with "
            "`alembic -x sense=NAME upgrade head` while nerve does not run",
        }
        self._ledger.log(self._name, "worker.boot_timeout", "error", payload)
        self._hub.failed(self._name)

    def tell_unkillable(self, pid: int) -> None:
        """Tell of one that was killed and is still there."""
        message = f"process {pid} does not end although it was killed; given up"
        self._ledger.log(self._name, "worker.unkillable", "error", {"message": message})


def _is_replaced(killing: Killing | None) -> bool:
    return killing is not None and killing.reason is Reason.REPLACED
