"""What a run of frames came to, and what of it is a fault."""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

MAX_GROWTH_BYTES = 12 * 1024 * 1024
"""Of the memory of whoever is told, from the first tenth of the frames to the last.

The parent's side gains some: its objects, its blocks and SQLite's cache (2.3 MiB, full after 7,000
frames) stay what they are, while malloc keeps more and more small pieces free between what is in use, as
channels and workers of every size come and go. `malloc_trim` gives more than half of the growth back.
"""
TENTHS = 10
MAX_SILENCE_S = 30.0
"""Between frames and an answer that has to come after them."""


@dataclass
class Figures:
    """Of one side.

    Attributes:
        told: what the other side did, counted by kind.
        rss_bytes: of whoever was told, at the beginning and after each tenth of the frames.
        longest_s: the longest wait for an answer.
        faults: what should not have happened.
    """

    side: str
    frames: int = 0
    told: dict[str, int] = field(default_factory=dict)
    rss_bytes: list[int] = field(default_factory=list)
    longest_s: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """Count something that the other side did."""
        self.told[kind] = self.told.get(kind, 0) + 1

    def waited(self, since: float) -> None:
        """Note how long an answer has taken that was waited for since then."""
        took_s = time.monotonic() - since
        self.longest_s = max(self.longest_s, took_s)
        if took_s > MAX_SILENCE_S:
            self.faults.append(f"an answer took {took_s:.1f} s, after {self.frames} frames")

    def weigh(self, pid: int | str, share: float) -> None:
        """Note the memory of a process when another tenth of its frames has been told."""
        while len(self.rss_bytes) <= share * TENTHS:
            self.rss_bytes.append(rss_bytes(pid))

    def conclude(self, began: float) -> "Figures":
        """Judge the whole; returns itself."""
        self.seconds = time.monotonic() - began
        _, warm, *_, end = self.rss_bytes
        if end - warm > MAX_GROWTH_BYTES:
            self.faults.append(f"its memory grew by {(end - warm) / 2**20:.1f} MiB")
        return self

    def __str__(self) -> str:
        told = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.told.items()))
        sizes = " ".join(f"{size / 2**20:.1f}" for size in self.rss_bytes)
        lines = [
            f"{self.side}",
            f"  frames       {self.frames:,} in {self.seconds:.0f} s",
            f"  came of it   {told}",
            f"  longest wait {self.longest_s * 1000:.0f} ms",
            f"  memory       {sizes} MiB",
            f"  faults       {len(self.faults)}",
            *(f"    {fault}" for fault in self.faults),
        ]
        return "\n".join(lines)


def rss_bytes(pid: int | str) -> int:
    """Return how much memory a process has; raises OSError when it is gone."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0
