"""Whether the spool is emptied as fast as it fills, told when the verdict changes.

Runs when `spool` signals. The signal says that something changed; what it means, this
sense reads from the rows that `spool` kept, as its peer, over a window of time.
"""

from typing import Any

import sqlalchemy as sa
from pydantic import Field

import nerve

US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S

WINDOW = sa.text("SELECT files FROM looks WHERE at_us >= :since_us ORDER BY id")


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.backlog.options`."""

    window_minutes: float = Field(10.0, gt=0, le=1440, description="How far to look back.")
    max_files: int = Field(100, ge=1, description="From so many waiting files on: overfull.")


metadata = sa.MetaData()
verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("files", sa.Integer, nullable=False),
)
retention = {"verdicts": nerve.Retention(column="at_us", keep="30d")}


def compute(db: sa.Connection, peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Judge the window that ends now; a signal if the verdict is another one."""
    options: Options = ctx.options
    at_us = round(ctx.now.timestamp() * US_PER_S)
    since_us = at_us - round(options.window_minutes * US_PER_MINUTE)
    counts = list(peers["spool"].scalars(WINDOW, {"since_us": since_us}))
    if not counts:
        return None
    verdict = _verdict(counts, options.max_files)
    before = db.scalar(sa.select(verdicts.c.verdict).order_by(verdicts.c.id.desc()).limit(1))
    if verdict == before:
        return None
    db.execute(sa.insert(verdicts), {"at_us": at_us, "verdict": verdict, "files": counts[-1]})
    return {
        "summary": f"The spool is {verdict}: {counts[-1]} files, {counts[-1] - counts[0]:+d}",
        "verdict": verdict,
        "before": before,
        "files": counts[-1],
        "signals": len(ctx.trigger.signals) + ctx.trigger.left_out,
    }


def _verdict(counts: list[int], max_files: int) -> str:
    if counts[-1] >= max_files:
        return "overfull"
    if counts[-1] == 0:
        return "empty"
    if counts[-1] == counts[0]:
        return "steady"
    return "growing" if counts[-1] > counts[0] else "draining"
