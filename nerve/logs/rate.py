"""How much of what a worker says is kept.

Parent and worker; pure. A bucket that fills at a rate and holds some seconds of it: a
burst passes, a flood is cut, and what was cut is counted. It bounds the journal's
growth and the loop's work, so that a sense which prints or logs in a loop delays no
neighbour. The worker keeps one in front of its log records, so that what will be
left out costs no more than this; the parent keeps another, because it believes nobody.
"""

LINES_PER_S = 50
BURST_S = 4
"""Of the rate, in the bucket when it is full."""
CALM_S = 0.5
"""Of the rate, in the bucket again, before a flood counts as over."""
TELL_EVERY_S = 60.0
"""A flood that does not end is told of this often."""


class Rate:
    """The allowance of one stream of lines."""

    def __init__(self, now: float, lines_per_second: float = LINES_PER_S) -> None:
        """`now` is monotonic, in seconds, here and below."""
        self.left_out = 0
        self._per_s = lines_per_second
        self._allowed = self._burst = lines_per_second * BURST_S
        self._asked_at = self._flood_told_at = now

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may pass, for the moment."""
        return self._allowed < 1

    def allow(self, lines: int, now: float) -> int:
        """Tell how many of `lines` may pass at `now`; count the rest."""
        refill = (now - self._asked_at) * self._per_s
        self._allowed = min(self._burst, self._allowed + refill)
        self._asked_at = now
        passing = min(lines, int(self._allowed))
        self._allowed -= passing
        self.leave_out(lines - passing)
        return passing

    def leave_out(self, lines: int) -> None:
        """Count lines that were lost elsewhere."""
        if lines and not self.left_out:
            self._flood_told_at = self._asked_at
        self.left_out += lines

    def take_left_out(self, *, at_the_end: bool = False) -> int:
        """Return, once it is over, how many lines a flood has lost; 0 without one."""
        is_over = self._allowed >= self._per_s * CALM_S
        is_long = self._asked_at - self._flood_told_at >= TELL_EVERY_S
        if not (is_over or is_long or at_the_end):
            return 0  # one number at the end says more than many on the way
        self._flood_told_at = self._asked_at
        count, self.left_out = self.left_out, 0
        return count
