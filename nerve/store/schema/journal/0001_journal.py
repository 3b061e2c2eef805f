# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""The journal: signals, logs, positions, outcomes, boots.

Signals and logs take their ids from one sequence, handed out by the one writer, so
that the two together are one timeline. Indexes on the path of a signal have to earn
their place: there is none on `signals`, and repeats are told by `received`.
"""

from alembic import op

revision = "0001"
down_revision = None

SIGNALS = """
CREATE TABLE signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sense TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    payload TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT
"""

LOGS = """
CREATE TABLE logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    level TEXT NOT NULL,
    ref TEXT,
    payload TEXT NOT NULL
) STRICT
"""

LOG_INDEXES = (
    "CREATE INDEX logs_source ON logs (source)",
    "CREATE INDEX logs_type ON logs (type)",
    "CREATE INDEX logs_ref ON logs (ref) WHERE ref IS NOT NULL",
)

# The high-water mark of each outbox.
RECEIVED = """
CREATE TABLE received (
    sense TEXT,
    epoch TEXT,
    seq INTEGER NOT NULL,
    PRIMARY KEY (sense, epoch)
) STRICT, WITHOUT ROWID
"""

CURSORS = """
CREATE TABLE cursors (
    target TEXT,
    source TEXT,
    signal_id INTEGER NOT NULL,
    PRIMARY KEY (target, source)
) STRICT, WITHOUT ROWID
"""

OUTCOMES = """
CREATE TABLE outcomes (
    sense TEXT,
    outcome TEXT,
    count INTEGER NOT NULL,
    last_at_us INTEGER NOT NULL,
    PRIMARY KEY (sense, outcome)
) STRICT, WITHOUT ROWID
"""

BOOTS = """
CREATE TABLE boots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL UNIQUE,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    ended_us INTEGER,
    ended TEXT
) STRICT
"""

META = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID
"""

TIMELINE = """
CREATE VIEW timeline (id, at_us, source, type, level, ref, payload) AS
    SELECT id, at_us, source, type, level, ref, payload FROM logs
    UNION ALL
    SELECT id, at_us, sense, 'signal', 'info', NULL, payload FROM signals
"""


def upgrade() -> None:
    tables = (SIGNALS, LOGS, RECEIVED, CURSORS, OUTCOMES, BOOTS, META)
    for statement in (*tables, *LOG_INDEXES, TIMELINE):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP VIEW timeline")
    for table in ("signals", "logs", "received", "cursors", "outcomes", "boots", "meta"):
        op.drop_table(table)
