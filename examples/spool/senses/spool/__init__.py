"""How many files wait in a folder, told whenever that changes.

Hidden files do not count: programs that drop files into a spool write them under a
hidden name first. A file may be taken away while it is being looked at.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import Field

import nerve

PROJECT = Path(__file__).parents[2]
US_PER_S = 1_000_000


class Options(nerve.Options):
    """What nerve.yaml may set under `senses.spool.options`."""

    folder: str = Field("inbox", min_length=1, description="The folder, relative to the project.")


metadata = sa.MetaData()
looks = sa.Table(
    "looks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.Integer, nullable=False),
    sa.Column("files", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False, server_default="0"),
)
retention = {"looks": nerve.Retention(column="at_us", keep="1d")}


def compute(db: sa.Connection, _peers: nerve.Peers, ctx: nerve.Context) -> dict[str, Any] | None:
    """Look once; a signal if files came or went."""
    sizes = _sizes(PROJECT / ctx.options.folder)
    now = {"files": len(sizes), "size_bytes": sum(sizes)}
    last = db.execute(sa.select(looks).order_by(looks.c.id.desc()).limit(1)).first()
    at_us = round(ctx.now.timestamp() * US_PER_S)
    db.execute(sa.insert(looks), {"at_us": at_us, **now})
    if last is not None and now == {"files": last.files, "size_bytes": last.size_bytes}:
        return None
    return {"summary": f"Files waiting: {now['files']}, {now['size_bytes']:,} bytes", **now}


def _sizes(folder: Path) -> list[int]:
    if not folder.is_dir():
        raise nerve.SenseError(
            f"{folder} is no folder", kind="folder_missing", hint="create it, or set options.folder"
        )
    visible = (file for file in folder.iterdir() if not file.name.startswith("."))
    return [size for file in visible if (size := _size(file)) is not None]


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size if file.is_file() else None
    except FileNotFoundError:
        return None
