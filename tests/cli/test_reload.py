"""`nerve reload` and `nerve run --watch` as a person uses them; what a reload does: tests/runtime."""

import json
import signal

import pytest

from nerve.supervisor import filewatch

CONFIG = "senses: {disk: {}}\nreflexes: [{kind: sense, sense: disk, interval: 50ms}]\n"


@pytest.fixture
def running(project, background):
    """Start nerve; wait for a line that has all of some words."""

    def start(*arguments):
        process = background("run", *arguments)

        def said(*words):
            for line in process.stdout:
                if all(word in line for word in words):
                    return line
            raise AssertionError(process.stderr.read())

        said("signal disk")
        process.said = said
        return process

    project.write("nerve.yaml", CONFIG)
    project.sense("disk", "def compute(db, peers, ctx): return {'summary': 'one'}")
    return start


def test_a_reload_prints_what_was_applied_and_a_fault_with_its_place(project, running):
    """CTL-4, CTL-3"""
    process = running()
    project.write("nerve.yaml", CONFIG.replace("disk: {}", "disk: {timeout: 9s}"))
    foreseen = project.process("reload", "--check")
    assert (foreseen.returncode, foreseen.stdout) == (0, "group default: new worker (senses.disk.timeout)\n")  # fmt: skip
    done = project.process("reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "default: worker 2 is ready (senses.disk.timeout)\n"
    project.write("nerve.yaml", CONFIG.replace("50ms", "soon"))
    refused = project.process("reload")
    assert (refused.returncode, refused.stdout) == (78, "")
    assert "nerve.yaml:2:49: reflexes[0].interval" in refused.stderr
    assert "the old configuration runs on" in refused.stderr
    project.write("nerve.yaml", CONFIG.replace("50ms", "60ms"))
    done = project.process("reload", "--json")
    (told,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert told["applied"] == ["reflexes of disk"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


MODULE = """\
import sqlalchemy as sa


def compute(db, peers, ctx):
    db.execute(sa.text("INSERT INTO t (a) VALUES (1)"))
    return {"summary": "one"}
"""
HEAD = "import sqlalchemy as sa\nfrom alembic import op\nrevision = %r\ndown_revision = %r\n"
FIRST = "def upgrade(): op.create_table('t', sa.Column('a', sa.Integer))\n"
SECOND = """\
def upgrade():
    with op.batch_alter_table("t", recreate="always") as t:
        t.add_column(sa.Column("b", sa.Integer, nullable=False))
"""


def test_a_migration_that_fails_at_rows_is_found_by_the_worker_and_told_with_what_to_type(
    project, running
):
    """CTL-4"""
    project.write("senses/disk/migrations/first.py", HEAD % ("first", None) + FIRST)
    project.sense("disk", MODULE)
    process = running()
    project.write("senses/disk/migrations/second.py", HEAD % ("second", "first") + SECOND)
    done = project.process("reload")
    assert done.returncode == 1
    assert "disk did not come up: revision second of" in done.stdout
    assert "hint: `nerve status` tells what is the matter" in done.stderr
    shown = " ".join(project.process("why", "disk").stdout.split())
    assert "the rows that are there have no value for t.b: give the new column" in shown
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_without_a_running_nerve_it_says_so(project):
    """CTL-2"""
    project.write("nerve.yaml", CONFIG)
    done = project.process("reload")
    assert done.returncode == 69
    assert "no nerve runs" in done.stderr


def test_a_file_without_any_sense_in_it_is_told_by_the_command_itself(project):
    """CTL-4, CFG-7: the state directory cannot be told from it, so nobody can be asked."""
    project.write("nerve.yaml", "senses: [")
    done = project.process("reload")
    assert done.returncode == 78
    assert "nerve.yaml:" in done.stderr


def test_a_watch_reloads_a_changed_file_and_a_changed_sense_and_survives_a_broken_one(
    project, running
):
    """CTL-4"""
    process = running("--watch")
    project.write("nerve.yaml", CONFIG.replace("50ms", "60ms"))
    assert "a changed file" in process.said("config.reloaded", "reflexes of disk")
    project.sense("disk", "def compute(db, peers, ctx) return {'summary': 'two'}")
    process.said("config.refused", "import_raised")
    project.sense("disk", "def compute(db, peers, ctx): return {'summary': 'three'}")
    process.said("config.reloaded", "code of disk")
    process.said("three")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_watch_says_what_is_missing_and_what_makes_no_sense(project, monkeypatch):
    """CTL-4"""
    project.write("nerve.yaml", CONFIG)
    assert project.nerve("run", "--watch", "--once").exit_code == 2
    monkeypatch.setattr(filewatch, "PACKAGE", "no_such_package_here")
    refused = project.nerve("run", "--watch")
    assert refused.exit_code == 2
    assert "pip install 'nerve[watch]'" in refused.output
