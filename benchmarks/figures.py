"""Figures: what they are, and how they are written down. Pure, but for /proc.

A `Figure` sets nerve beside a floor. The ratio is formed within each block, where both saw
the same machine, and its spread is that of the blocks; the absolute values stand
beside it for orientation.
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KIB_PER_MIB = 1024


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
        return f"{_short(self.median)} [{_short(self.q1)}, {_short(self.q3)}]"


@dataclass(frozen=True, slots=True)
class Figure:
    """Nerve beside a floor; each list has one value for each block, in `unit`."""

    name: str
    floor_name: str
    unit: str
    nerve: list[float]
    floor: list[float]

    @property
    def ratio(self) -> Spread:
        """How many times the floor, over the blocks."""
        return Spread.of([n / f for n, f in zip(self.nerve, self.floor, strict=True)])

    def row(self) -> tuple[str, ...]:
        """As the table shows it."""
        return (
            self.name,
            self.floor_name,
            str(self.ratio),
            f"{Spread.of(self.nerve)} {self.unit}",
            f"{Spread.of(self.floor)} {self.unit}",
        )

    def to_json(self) -> dict[str, Any]:
        """The spreads; of the blocks, how many there were."""
        return {
            "name": self.name,
            "floor_name": self.floor_name,
            "unit": self.unit,
            "blocks": len(self.nerve),
            "ratio": asdict(self.ratio),
            "nerve": asdict(Spread.of(self.nerve)),
            "floor": asdict(Spread.of(self.floor)),
        }


def p50(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[-1]


def table(figures: Iterable[Figure]) -> str:
    """Figures as aligned text."""
    head = ("what", "beside", "ratio", "nerve", "floor")
    rows = [head, *(figure.row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)


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


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"  # noqa: PLR2004  three digits


def report(machine: Mapping[str, object], figures: Sequence[Figure], *, as_json: bool) -> str:
    """What a run of a benchmark prints: the machine and the figures."""
    if as_json:
        found = {"machine": machine, "figures": [figure.to_json() for figure in figures]}
        return json.dumps(found, indent=1)
    heading = ", ".join(f"{name} {value}" for name, value in machine.items())
    return f"{heading}\nmedian [quartiles] over blocks\n\n{table(figures)}"
