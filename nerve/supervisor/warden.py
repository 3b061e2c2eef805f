"""Keeps what is held against senses, and sees to it that they rest.

Parent, on the loop. `conduct` decides; this writes it down, tells the operator, and has the
triggers deferred. A quarantine is in the journal, in one transaction with its log
row, and holds over a restart.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from nerve.clock import US_PER_S, Clock, rfc3339
from nerve.reflex.flow import Decision
from nerve.store.batch import Quarantine
from nerve.supervisor.conduct import MAX_STRIKES, Conduct, absolved, struck
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.recorder import Recorder

Rest = Callable[[str, float, Decision], None]


class Warden:
    """The conduct of all senses."""

    def __init__(self, recorder: Recorder, ledger: Ledger, *, clock: Clock, rest: Rest) -> None:
        """`rest(sense, seconds, why)` has nothing of that sense started for so long."""
        self._recorder = recorder
        self._ledger = ledger
        self._clock = clock
        self._rest = rest
        self._conducts: dict[str, Conduct] = {}

    def restore(self, stored: Iterable[Quarantine], known: Iterable[str]) -> list[Quarantine]:
        """Take up what earlier runs have stored; return the quarantines that still hold.

        Those of senses that are no longer in nerve.yaml are dropped: who comes back under
        that name begins anew.
        """
        known = set(known)
        holding = []
        for quarantine in stored:
            if quarantine.sense not in known:
                self._recorder.quarantine(quarantine.sense, None)
                continue
            self._conducts[quarantine.sense] = Conduct(
                MAX_STRIKES,
                quarantine.times,
                quarantine.until_us,
                quarantine.until_us,
                quarantine.reason,
            )
            if self.rests_s(quarantine.sense):
                self._let_rest(quarantine.sense)
                holding.append(quarantine)
        return holding

    def strike(self, sense: str, *, loading: bool, reason: str, ref: str | None = None) -> None:
        """A worker has died over this sense."""
        before = self._conducts.get(sense, Conduct())
        now_us = self._clock.now_us()
        self._take(sense, struck(before, now_us, loading=loading, reason=reason), ref)

    def quarantine(self, sense: str, reason: str) -> None:
        """It has done what no sense may do, and often enough."""
        before = replace(self._conducts.get(sense, Conduct()), strikes=MAX_STRIKES - 1)
        now_us = self._clock.now_us()
        self._take(sense, struck(before, now_us, loading=False, reason=reason), None)

    def set_apart(self, sense: str, seconds: float, reason: str) -> None:
        """Have a sense rest that has done nothing that one knows of."""
        before = self._conducts.get(sense, Conduct())
        until_us = self._clock.now_us() + int(seconds * US_PER_S)
        self._take(sense, replace(before, rests_until_us=until_us, reason=reason), None)

    def _take(self, sense: str, conduct: Conduct, ref: str | None) -> None:
        self._conducts[sense] = conduct
        self._let_rest(sense)
        until = rfc3339(conduct.rests_until_us)
        payload: dict[str, object] = {"until": until}
        if conduct.is_quarantined:
            message = f"in quarantine until {until}: {conduct.reason}"
            hint = f"mend the sense, then `nerve resume {sense}`; else it is tried once at the end"
            payload |= {"message": message, "times": conduct.quarantines, "hint": hint}
            self._ledger.log(sense, "sense.quarantined", "error", payload, ref=ref)
            self._recorder.quarantine(sense, self._row(sense, conduct))
        else:
            message = f"not run before {until}: {conduct.reason}"
            payload |= {"message": message, "strikes": conduct.strikes}
            self._ledger.log(sense, "sense.resting", "warning", payload, ref=ref)

    def _row(self, sense: str, conduct: Conduct) -> Quarantine:
        since_us = self._clock.now_us()
        return Quarantine(
            sense, conduct.quarantines, since_us, conduct.rests_until_us, conduct.reason
        )

    def defer(self, sense: str) -> None:
        """Have a trigger wait that came to a sense which rests."""
        self._let_rest(sense)

    def release(self, sense: str) -> Conduct | None:
        """Hold nothing against a sense any more; return what was, None where it was nothing."""
        conduct, rests_s = self._conducts.get(sense), self.rests_s(sense)
        if conduct is None or not (conduct.strikes or rests_s):
            return None
        del self._conducts[sense]
        if conduct.is_quarantined:
            self._recorder.quarantine(sense, None)
        return conduct

    def absolve(self, sense: str) -> None:
        """It has run to an end of its own."""
        conduct = self._conducts.get(sense)
        if conduct is None or not conduct.strikes:
            return
        self._conducts[sense] = absolved(conduct)
        if conduct.is_quarantined:
            self._recorder.quarantine(sense, None)
            message = "it ran to its end again; the quarantine is over"
            self._ledger.log(sense, "quarantine.ended", "info", {"message": message})

    def forget(self, senses: Iterable[str]) -> None:
        """Hold nothing against senses that are configured no longer."""
        for sense in senses:
            conduct = self._conducts.pop(sense, None)
            if conduct is not None and conduct.is_quarantined:
                self._recorder.quarantine(sense, None)

    def rests_s(self, sense: str) -> float:
        """For how many seconds more it is not to run, or to be loaded; 0 when it may."""
        conduct = self._conducts.get(sense)
        until_us = conduct.rests_until_us if conduct else 0
        return max(0, until_us - self._clock.now_us()) / US_PER_S

    def quarantined(self) -> list[str]:
        """Which senses are in quarantine; one on trial is not any more."""
        conducts = self._conducts.items()
        return [name for name, held in conducts if held.is_quarantined and self.rests_s(name)]

    def _let_rest(self, sense: str) -> None:
        quarantined = self._conducts[sense].is_quarantined
        why = Decision.QUARANTINED if quarantined else Decision.RESTING
        self._rest(sense, self.rests_s(sense), why)
