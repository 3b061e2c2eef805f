"""What a new author is likely to do wrong: each time it is said what, where, and what to do."""

import pytest

from nerve.errors import MigrationFailed, SenseError

HEAD = "import datetime, decimal, nerve, socket, sqlalchemy as sa\n"
FIRST = "def upgrade(): op.execute('CREATE TABLE looks (n)')\n"

CANNOT_START = {
    "another name for compute": (
        "def computes(db, peers, ctx): return 1",
        r"has no `compute` \(did you mean `computes`\?\)",
        "write: def compute(db, peers, ctx)",
    ),
    "too few arguments": (
        "def compute(db, ctx): return 1",
        r"its `compute\(db, ctx\)` cannot be called as compute\(db, peers, ctx\)",
        "write: def compute(db, peers, ctx)",
    ),
    "a compute that is none": ("compute = 7", "not callable", "write: def compute(db, peers, ctx)"),
    "a table to keep that no migration makes": (
        "retention = {'looks': nerve.Retention('at_us', '7d')}\ndef compute(db, peers, ctx): return 1",
        "table 'looks': there is no such table",
        "a migration has to make it: nerve db revision SENSE -m TEXT --autogenerate",
    ),
}
FAILS = {
    "a time": ("return {'at': ctx.now}", "at is a datetime", "moment.isoformat()"),
    "a day": ("return [ctx.now.date()]", "0 is a date", "day.isoformat()"),
    "a duration": ("return datetime.timedelta(1)", "it is a timedelta", "total_seconds()"),
    "a set": ("return {'names': {'a'}}", "names is a set", "sorted(...)"),
    "a Decimal": ("return decimal.Decimal(1)", "it is a Decimal", "float(...)"),
    "bytes": ("return {'raw': b'x'}", "raw is a bytes", "ctx.blobs.put()"),
    "something else": ("return object()", "it is a object", "finite numbers"),
    "no table": (
        "db.execute(sa.text('SELECT * FROM looks'))",
        "no such table: looks",
        "`nerve db revision one -m TEXT --autogenerate`",
    ),
    "a peer misspelt": ("peers['disc']", "there is no sense 'disc'", 'did you mean "disk"?'),
    "a peer that is not configured": ("peers['weather']", "'weather'", "configured in nerve.yaml"),
    "a commit": ("db.commit()", "called commit()", "remove db.commit()"),
}


@pytest.mark.parametrize("mistake", CANNOT_START)
def test_a_sense_that_cannot_start_says_what_to_write(project, sense, mistake):
    """BOOT-3"""
    source, told, hint = CANNOT_START[mistake]
    project.sense("one", HEAD + source)
    with pytest.raises(SenseError, match=told) as caught:
        sense("one", project=project.root)
    assert caught.value.hint == hint


@pytest.mark.parametrize("mistake", FAILS)
def test_a_compute_that_fails_says_what_to_do(project, sense, mistake):
    body, told, hint = FAILS[mistake]
    project.sense("one", f"{HEAD}def compute(db, peers, ctx):\n    {body}\n")
    error = sense("one", project=project.root, peers={"disk": None})().error
    assert told in error.message
    assert hint in error.hint
    assert "sqlalche.me" not in str(error)


def test_a_call_that_waits_without_a_bound_is_named_with_its_line(project, sense):
    """RUN-2"""
    body = "ours, theirs = socket.socketpair()\n    with ours, theirs:\n        ours.recv(1)"
    project.sense("one", f"{HEAD}def compute(db, peers, ctx):\n    {body}\n")
    error = sense("one", project=project.root, timeout="1s")().error
    assert error.message == "did not end within its timeout of 1s"
    assert 'File "senses/one/__init__.py", line 5, in compute\n    ours.recv(1)' in error.traceback
    assert "give what it waits for a timeout of its own" in error.hint
    assert "senses.one.timeout" in error.hint


@pytest.mark.parametrize(
    ("second", "told", "hint"),
    [
        (
            "'r0'",
            r"down_revision 'r0' in .*/senses/one/migrations/r2.py names",
            "or None for the first",
        ),
        (
            "None",
            r"senses/one/migrations has several heads: r1, r2",
            "the down_revision of the other",
        ),
    ],
)
def test_a_chain_that_is_none_says_which_file_or_which_heads(project, sense, second, told, hint):
    project.sense("one", "def compute(db, peers, ctx): return 1", r1=FIRST, r2=FIRST)
    file = project.root / "senses/one/migrations/r2.py"
    file.write_text(file.read_text().replace("down_revision = 'r1'", f"down_revision = {second}"))
    with pytest.raises(MigrationFailed, match=told) as caught:
        sense("one", project=project.root)
    assert hint in caught.value.hint
