"""How busy the processors are, told at every look. It keeps no rows."""

from typing import Any

import psutil
from sqlalchemy import Connection

from nerve import Context, Peers


def compute(_db: Connection, _peers: Peers, _ctx: Context) -> dict[str, Any]:
    """Measure for half a second."""
    busy_percent = psutil.cpu_percent(interval=0.5)
    return {"summary": f"CPU {busy_percent:.0f} % busy", "busy_percent": busy_percent}
