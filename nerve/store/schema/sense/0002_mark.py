# ruff: noqa: D103, INP001  Alembic runs the file by path and fixes the names
"""A signal's row is the mark of its compute as well, so that a commit changes fewer pages."""

from alembic import op

revision = "0002"
down_revision = "0001"

# Numbered by nerve; AUTOINCREMENT would write the last number to a page of its own.
OUTBOX = """
CREATE TABLE nerve_outbox_new (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    boot TEXT NOT NULL,
    trigger_id INTEGER NOT NULL,
    payload TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT
"""

COPY = """
INSERT INTO nerve_outbox_new (seq, at_us, boot, trigger_id, payload, cause)
SELECT seq, at_us, iif(json_valid(cause), coalesce(json_extract(cause, '$.boot'), ''), ''),
    trigger_id, payload, cause
FROM nerve_outbox
"""

OLD_OUTBOX = """
CREATE TABLE nerve_outbox_old (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    trigger_id INTEGER NOT NULL,
    payload TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT
"""

MARK = """
UPDATE nerve_identity SET (boot, trigger_id, seq) =
    (SELECT boot, trigger_id, seq FROM nerve_outbox ORDER BY seq DESC LIMIT 1)
WHERE seq < (SELECT max(seq) FROM nerve_outbox)
"""


def upgrade() -> None:
    # (boot, trigger_id) hold up to this signal; the row of a later one says it for itself.
    op.execute("ALTER TABLE nerve_identity ADD COLUMN seq INTEGER NOT NULL DEFAULT 0")
    op.execute(
        "UPDATE nerve_identity SET seq = "
        "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'nerve_outbox')"
    )
    op.execute(OUTBOX)
    op.execute(COPY)
    op.execute("DROP TABLE nerve_outbox")
    op.execute("ALTER TABLE nerve_outbox_new RENAME TO nerve_outbox")


def downgrade() -> None:
    op.execute(MARK)
    op.execute(OLD_OUTBOX)
    op.execute(
        "INSERT INTO nerve_outbox_old SELECT seq, at_us, trigger_id, payload, cause"
        " FROM nerve_outbox"
    )
    op.execute("DROP TABLE nerve_outbox")
    op.execute("ALTER TABLE nerve_outbox_old RENAME TO nerve_outbox")
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'nerve_outbox'")
    op.execute("INSERT INTO sqlite_sequence SELECT 'nerve_outbox', seq FROM nerve_identity")
    op.execute("ALTER TABLE nerve_identity DROP COLUMN seq")
