"""How much of what a worker says is kept.

Parent; pure. A bucket that fills at LINES_PER_S and holds BURST_LINES: a burst passes,
a flood is cut, and what was cut is counted. It bounds the journal's growth and the
loop's work, so that a sense which prints or logs in a loop delays no neighbour.
"""

LINES_PER_S = 50
BURST_LINES = 200


class Rate:
    """The allowance of one stream of lines."""

    def __init__(self, now: float) -> None:
        self._allowed = float(BURST_LINES)
        self._asked_at = now
        self._left_out = 0

    def allow(self, lines: int, now: float) -> int:
        """Tell how many of `lines` may pass at `now` (monotonic, seconds); count the rest."""
        refill = (now - self._asked_at) * LINES_PER_S
        self._allowed = min(BURST_LINES, self._allowed + refill)
        self._asked_at = now
        passing = min(lines, int(self._allowed))
        self._allowed -= passing
        self._left_out += lines - passing
        return passing

    def take_left_out(self, *, at_the_end: bool = False) -> int:
        """Return, once it is over, how many lines a flood has lost; 0 without one."""
        if self._allowed < 1 and not at_the_end:
            return 0  # one number at the end says more than many on the way
        count, self._left_out = self._left_out, 0
        return count
