"""Prometheus' text format, version 0.0.4.

Commands; pure. Families are written in the order in which they are given, each with its help and
its type; a label's value may be anything, a name is ours.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(slots=True)
class Family:
    """One metric, and its samples.

    Attributes:
        name: with its unit, and `_total` where it is a counter.
        help: what it is, in a sentence.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """Add a sample of a gauge or a counter."""
        self.samples.append(("", labels, value))

    def add_histogram(
        self, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: str
    ) -> None:
        """Add a histogram of so many values in each bucket; the last is what is beyond all."""
        reaching = [*accumulate(counts)]
        for bound, reached in zip([*map(_number, bounds), "+Inf"], reaching, strict=True):
            self.samples.append(("_bucket", {**labels, "le": bound}, reached))
        self.samples.append(("_sum", labels, total))
        self.samples.append(("_count", labels, reaching[-1]))


def exposition(families: Iterable[Family]) -> str:
    """Write families; those without a sample are left out."""
    return "".join(map(_written, families))


def _written(family: Family) -> str:
    if not family.samples:
        return ""
    lines = [
        f"# HELP {family.name} {_escaped(family.help)}",
        f"# TYPE {family.name} {family.kind}",
    ]
    for suffix, labels, value in family.samples:
        lines.append(f"{family.name}{suffix}{_braced(labels)} {_number(value)}")
    return "\n".join(lines) + "\n"


def _braced(labels: Labels) -> str:
    pairs = [f'{name}="{_quotable(value)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quotable(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    # 15 digits of an integer are exact in a double; 1e+16 would be read as well, but not by people.
    return str(int(value)) if float(value).is_integer() else repr(float(value))
