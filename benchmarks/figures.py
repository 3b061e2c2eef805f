"""Figures: what they are. Pure, but for /proc.

A `Figure` sets nerve beside a floor. The ratio is formed within each block, where both saw
the same machine, and its spread is that of the blocks; the absolute values stand
beside it for orientation.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

KIB_PER_MIB = 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    q1: float
    median: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value or more."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    def __str__(self) -> str:
        return f"{short(self.median)} [{short(self.q1)}, {short(self.q3)}]"


@dataclass(frozen=True, slots=True)
class Figure:
    """One contestant beside one floor; each list has one value for each block, in `unit`.

    Attributes:
        what: is measured, for instance "trigger, FULL, p50".
        beside: which floor.
        unit: of both, for instance "us" or "/s".
        values: the contestant's.
        floor: of the same blocks, in the same order. Empty where nothing has no cost to
            compare with, for instance the processor time of processes that sleep.
        who: "nerve", or a peer's name with its version.
        section: filled in by `bench`.
    """

    what: str
    beside: str
    unit: str
    values: list[float]
    floor: list[float]
    who: str = field(default="nerve", kw_only=True)
    section: str = field(default="", kw_only=True)

    @property
    def ratio(self) -> Spread | None:
        """How many times the floor, over the blocks; None beside no floor, or one of 0."""
        if not self.floor or not all(self.floor):
            return None
        return Spread.of([v / f for v, f in zip(self.values, self.floor, strict=True)])

    def to_json(self) -> dict[str, Any]:
        """The spreads, and what they were made from."""
        return {
            **asdict(self),
            "blocks": len(self.values),
            "ratio": asdict(self.ratio) if self.ratio else None,
            "value": asdict(Spread.of(self.values)),
            "floor_value": asdict(Spread.of(self.floor)) if self.floor else None,
        }


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader of the figures has to know: who was left out and why, for instance."""

    who: str
    words: str
    section: str = ""


Finding = Figure | Note


class Extent(Enum):
    """How much is measured."""

    THOROUGH = "thorough"
    QUICK = "quick"
    """All sections in under three minutes on two processors."""
    LEAST = "least"
    """For a test: that there are figures, and not what they say."""

    def of(self, thorough: T, quick: T, least: T) -> T:
        """The one of these that is meant."""
        return {Extent.THOROUGH: thorough, Extent.QUICK: quick, Extent.LEAST: least}[self]


Section = Callable[[Path, Extent], Sequence[Finding]]
"""Measures one part, in a process of its own that is a subreaper and ends afterwards.

It may write to the directory, which is empty and removed later. It raises `Lacking` without
something that it needs; of what it leaves out itself, it tells in a `Note`.
"""


class Lacking(Exception):
    """What a section, or a peer, cannot do without on this machine."""


def short(value: float) -> str:
    """Three digits of it, or all before the point."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2  # noqa: PLR2004  three of them
    return f"{value:,.{digits}f}"


def side_by_side(figures: Sequence[Figure]) -> list[Figure]:
    """Bring those together that are of one thing beside one floor; else the order stays."""
    order = [(figure.what, figure.beside) for figure in figures]
    return sorted(figures, key=lambda figure: order.index((figure.what, figure.beside)))


def p50(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one process in MiB: its share of everything, and what is its alone."""

    pss: float
    uss: float

    @classmethod
    def of(cls, pid: int) -> "Memory":
        """Read it from the kernel."""
        kib: dict[str, int] = {}
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            field, value = line.split()[:2]
            kib[field.rstrip(":")] = int(value)
        private = sum(value for field, value in kib.items() if field.startswith("Private_"))
        return cls(kib["Pss"] / KIB_PER_MIB, private / KIB_PER_MIB)


def file_system(folder: Path) -> str:
    """Type and device of the file system that `folder` lies on."""
    mounts = [line.split()[:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    # The later of two mounts on the same point is the one that is seen.
    over = [m for m in mounts if folder.resolve().is_relative_to(m[1])]
    device, _, type_ = max(reversed(over), key=lambda mount: len(mount[1]))
    return f"{type_} on {device}"
