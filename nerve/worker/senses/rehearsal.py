"""The sense that a worker in reserve rehearses with: it does what most senses do."""

from typing import Any

from sqlalchemy import Connection, text

INSERT = text("INSERT INTO rehearsed (at_us, said) VALUES (:at_us, :said)")
NEWEST = text("SELECT at_us, said FROM rehearsed ORDER BY n DESC LIMIT 1")


def compute(db: Connection, _peers: Any, ctx: Any) -> dict[str, Any]:
    """Write a row, read it, and return it."""
    db.execute(INSERT, {"at_us": int(ctx.now.timestamp() * 1_000_000), "said": ctx.name})
    at_us, said = db.execute(NEWEST).one()
    return {"at_us": at_us, "said": said}
