"""One word for how the machine is doing: calm, busy or strained.

It looks at nothing itself but reads what its peers `cpu-usage`, `memory` and `disk` kept
last, each through a read-only connection, and makes a level of each:

    percent of a peer >= busy threshold -> busy, >= strained threshold -> strained

The level of the whole is the worst of these. Two things keep it from trembling: a level
is left only a margin below the threshold by which it was entered, and a new level must be
read several times in a row. A reading counts once, however often this sense is triggered.

A peer that cannot be read (not there yet, no reading, its last one too old) keeps the level
it had, because a level should change on evidence only; the signal says which one it is.
A peer that is no longer configured is forgotten. Signals are given on changes of the
level, and as soon as a first peer can be read.
"""

from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import Field, model_validator

import nerve

US_PER_S = 1_000_000

LEVELS = ("calm", "busy", "strained")

NEWEST = {
    "cpu-usage": "SELECT at_us, busy_percent FROM readings ORDER BY id DESC LIMIT 1",
    "memory": "SELECT at_us, 100 - available_percent FROM readings ORDER BY id DESC LIMIT 1",
    "disk": "SELECT at_us, used_percent FROM mounts ORDER BY used_percent DESC LIMIT 1",
}
"""How to ask each peer for its newest reading: when it was made, and a percentage."""


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.pressure.options`."""

    cpu_busy_percent: float = Field(70.0, ge=0, le=100, description="CPU load that is busy.")
    cpu_strained_percent: float = Field(90.0, ge=0, le=100, description="... that is strained.")
    memory_busy_percent: float = Field(80.0, ge=0, le=100, description="Memory in use, busy.")
    memory_strained_percent: float = Field(92.0, ge=0, le=100, description="... strained.")
    disk_busy_percent: float = Field(85.0, ge=0, le=100, description="Fullest disk, busy.")
    disk_strained_percent: float = Field(95.0, ge=0, le=100, description="... strained.")
    margin_points: float = Field(
        5.0, ge=0, le=50, description="How far below its threshold a level is left."
    )
    consecutive: int = Field(
        3, ge=1, le=1000, description="Readings in a row that a new level needs."
    )
    stale_minutes: float = Field(
        5.0, gt=0, le=1440, description="An older reading of a peer does not count."
    )

    @model_validator(mode="after")
    def _busy_comes_before_strained(self) -> "Options":
        for busy, strained in map(self.thresholds, NEWEST):
            if busy >= strained:
                raise ValueError("a busy threshold must be lower than its strained threshold")
            if busy <= self.margin_points:
                raise ValueError("a threshold must be above margin_points, or it is never left")
        return self

    def thresholds(self, source: str) -> tuple[float, float]:
        """From which percent on a source is busy and strained."""
        return {
            "cpu-usage": (self.cpu_busy_percent, self.cpu_strained_percent),
            "memory": (self.memory_busy_percent, self.memory_strained_percent),
            "disk": (self.disk_busy_percent, self.disk_strained_percent),
        }[source]


metadata = sa.MetaData()
sources = sa.Table(
    "sources",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("percent", sa.Float, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("candidate", sa.Integer, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
)
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
)
retention = {"changes": nerve.Retention(column="at_us", keep="30d")}


class Source(NamedTuple):
    """What is known of one peer: its newest reading, and its level as an index of LEVELS.

    `candidate` is the level of the newest readings, and `seen` how many in a row had it.
    """

    source: str
    at_us: int
    percent: float
    level: int
    candidate: int
    seen: int


def compute(db: sa.Connection, peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Read the peers once; a signal if the level of the whole changed."""
    options: Options = ctx.options
    at_us = round(ctx.now.timestamp() * US_PER_S)
    known = {row.source: Source(*row) for row in db.execute(sa.select(sources))}
    read, unread = _read_all(peers, at_us, options)
    if not read and not unread:
        raise _nothing_configured()
    now = {name: known[name] for name in unread if name in known}
    now |= {name: _advance(known.get(name), name, *read[name], options) for name in read}
    _store(db, list(now.values()))
    if not now:
        ctx.log.debug("no peer can be read yet: %s", unread)
        return None
    level = LEVELS[max(source.level for source in now.values())]
    before = db.scalar(sa.select(changes.c.level).order_by(changes.c.id.desc()).limit(1))
    if level == before:
        return None
    db.execute(sa.insert(changes).values(at_us=at_us, level=level))
    return _payload(level, before, now, unread)


def _read_all(
    peers: nerve.Peers, at_us: int, options: Options
) -> tuple[dict[str, tuple[int, float]], dict[str, str]]:
    """Newest reading of each configured source, and why the others could not be read."""
    read: dict[str, tuple[int, float]] = {}
    unread: dict[str, str] = {}
    for source in (name for name in NEWEST if name in peers):
        try:
            row = peers[source].execute(sa.text(NEWEST[source])).first()
        except nerve.PeerError as error:
            unread[source] = str(error)
            continue
        if row is None:
            unread[source] = "it has no reading yet"
        elif at_us - row[0] > options.stale_minutes * 60 * US_PER_S:
            unread[source] = f"its last reading is {(at_us - row[0]) / US_PER_S / 60:.0f} min old"
        else:
            read[source] = (row[0], row[1])
    return read, unread


def _level(percent: float, current: int, source: str, options: Options) -> int:
    """Level of one reading; the thresholds already passed are lowered by the margin."""
    level = 0
    for rank, threshold in enumerate(options.thresholds(source), start=1):
        margin = options.margin_points if rank <= current else 0.0
        if percent >= threshold - margin:
            level = rank
    return level


def _advance(
    before: Source | None, source: str, at_us: int, percent: float, options: Options
) -> Source:
    if before is None:
        level = _level(percent, 0, source, options)
        return Source(source, at_us, percent, level, level, 1)
    if at_us == before.at_us:
        return before  # the same reading again, for we were triggered by something else
    candidate = _level(percent, before.level, source, options)
    seen = before.seen + 1 if candidate == before.candidate else 1
    level = candidate if seen >= options.consecutive else before.level
    return Source(source, at_us, percent, level, candidate, min(seen, options.consecutive))


def _nothing_configured() -> nerve.PeerError:
    return nerve.PeerError(
        f"none of the senses {', '.join(NEWEST)} is configured, so there is nothing to read",
        hint="add one of them under `senses:`",
    )


def _store(db: sa.Connection, rows: list[Source]) -> None:
    db.execute(sa.delete(sources))
    if rows:
        db.execute(sa.insert(sources), [row._asdict() for row in rows])


def _payload(
    level: str, before: str | None, now: dict[str, Source], unread: dict[str, str]
) -> dict[str, Any]:
    read = {name: round(row.percent, 1) for name, row in now.items() if name not in unread}
    parts = [f"{name} {percent:.0f} %" for name, percent in read.items()]
    parts += [f"could not read {name}" for name in unread]
    return {
        "summary": f"The machine is {level}: " + ", ".join(parts),
        "level": level,
        "before": before,
        "percent": read,
        "levels": {name: LEVELS[row.level] for name, row in now.items()},
        "unread": unread,
    }
