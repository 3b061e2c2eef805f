"""How far reflexes have got, as `nerve cursor` shows it, and how it is moved."""

import json
import os
import signal as signals
import subprocess
import sys
from contextlib import closing

import pytest

from nerve.store.batch import Batch
from nerve.store.journal import Journal
from nerve.store.migrations import SENSE_SCHEMA, upgrade
from nerve.store.positions import positions_in
from nerve.store.sqlite import open_owner, open_reader

PAIR = ("cpu-usage", "disk")
"""The only target and source of the project."""
TICK_US = 1_795_222_998_000_000


@pytest.fixture
def got(project, signal):
    """Store `signals` of disk, the cursor of PAIR and the position in its database."""

    def store(journal=None, database=None, signals=5, **more):
        project.record(*(signal() for _ in range(signals)))
        cursors = {} if journal is None else {PAIR: journal}
        with closing(Journal(project.state.journal_path)) as opened:
            opened.commit(Batch(cursors={**cursors, **more.get("cursors", {})}))
        if database is not None:
            with closing(open_owner(project.state.sense_db("cpu-usage"), full_sync=False)) as raw:
                upgrade(raw, SENSE_SCHEMA)
                raw.execute("INSERT INTO nerve_position VALUES ('disk', ?)", (database,))
        return project

    return store


def shown(project, json_lines):
    return json_lines(project.nerve("cursor", "show", "--json").stdout)


def stored(project):
    """What the two places say of PAIR."""
    with closing(open_reader(project.state.journal_path)) as reader:
        query = "SELECT signal_id FROM cursors WHERE target = ? AND source = ?"
        row = reader.execute(query, PAIR).fetchone()
    return row and row[0], positions_in(project.state.sense_db("cpu-usage")).get("disk")


def told(project):
    with closing(open_reader(project.state.journal_path)) as reader:
        rows = reader.execute("SELECT source, payload FROM logs WHERE type = 'cursor.set'")
        return [(source, json.loads(payload)) for source, payload in rows]


def test_a_position_is_shown_with_its_time_and_what_waits(got, json_lines):
    """SIG-7"""
    project = got(journal=2, database=2)
    assert shown(project, json_lines) == [
        {
            "target": "cpu-usage", "source": "disk", "declared": True, "timer": False,
            "position": 2, "at": "2026-11-21T01:03:18.318013Z", "journal": 2, "database": 2,
            "waiting": 3, "waiting_since": "2026-11-21T01:03:18.318013Z",
        }
    ]  # fmt: skip
    (_, line) = project.nerve("cursor", "show").stdout.splitlines()
    assert line.startswith("cpu-usage  disk    2         2026-11-21 02:03:18  3, the oldest for ")


@pytest.mark.parametrize(("journal", "database"), [(2, 4), (4, 2), (4, None), (None, 4), (4, 99)])
def test_the_larger_of_two_places_holds_unless_it_is_beyond_all_signals(
    got, json_lines, journal, database
):
    """SIG-7"""
    (line,) = shown(got(journal, database), json_lines)
    assert (line["position"], line["waiting"]) == (4, 1)
    assert (line["journal"], line["database"]) == (journal, database)


def test_what_waits_for_nobody_and_what_is_new_is_said(got, json_lines, project):
    (line,) = shown(got(), json_lines)
    assert (line["position"], line["waiting"], line["at"]) == (None, None, None)
    assert "begins with the next signal" in project.nerve("cursor", "show").stdout
    (line,) = shown(got(journal=10, signals=5), json_lines)
    assert (line["waiting"], line["waiting_since"]) == (0, None)
    assert project.nerve("cursor", "show").stdout.splitlines()[-1].endswith("  nothing")


def test_positions_that_no_reflex_has_any_more_are_shown_as_such(got, json_lines):
    project = got(journal=5, cursors={("gone", "disk"): 1, ("cpu-usage", "cpu-usage"): 1})
    lines = shown(project, json_lines)
    assert [(line["target"], line["source"], line["declared"], line["waiting"]) for line in lines] == [
        ("cpu-usage", "disk", True, 0),
        ("cpu-usage", "cpu-usage", False, None),
        ("gone", "disk", False, None),
    ]  # fmt: skip
    assert project.nerve("cursor", "show").stdout.count("no reflex has it any more") == 2


TIMERS = """\
timezone: Europe/Berlin
senses: {disk: , cpu-usage: }
reflexes:
  - {kind: sense, sense: [disk, cpu-usage], interval: 10s, missed: once}
  - {kind: sense, sense: disk, interval: 20s}
"""


def test_the_position_of_a_timer_is_a_time(got, json_lines):
    project = got(cursors={("disk", "@every 10s"): TICK_US, ("disk", "@every 20s"): TICK_US})
    project.write("nerve.yaml", TIMERS)
    line, new, gone = shown(project, json_lines)
    assert (line["timer"], line["position"], line["waiting"]) == (True, None, None)
    assert (new["target"], new["at"], new["declared"]) == ("cpu-usage", None, True)
    assert (gone["source"], gone["declared"]) == ("@every 20s", False)
    assert "begins with the next tick" in project.nerve("cursor", "show").stdout
    assert line["at"] == "2026-11-21T01:03:18.000000Z"
    assert (
        "@every 10s  -         2026-11-21 02:03:18  a timer"
        in project.nerve("cursor", "show").stdout
    )
    done = project.nerve("cursor", "set", "disk", "@every 10s", "3")
    assert done.exit_code == 2
    assert "the position of a timer is the time of its last tick" in done.stderr


def test_a_database_that_cannot_be_read_hides_no_other_position(got, json_lines):
    project = got(journal=2)
    project.state.sense_db("cpu-usage").write_bytes(b"no database" * 1_000)
    done = project.nerve("cursor", "show", "--json")
    assert json_lines(done.stdout)[0]["position"] == 2
    assert "the journal alone was asked" in done.stderr


def test_showing_changes_no_file_and_needs_no_lock(got):
    project = got(journal=2, database=2)
    before = {file: file.read_bytes() for file in project.folder.rglob("*.db")}
    lock = project.state.lock()
    assert project.nerve("cursor", "show").exit_code == 0
    os.close(lock)
    assert {file: file.read_bytes() for file in before} == before


def test_a_narrow_terminal_shows_all_of_it(on_terminal, signal):
    on_terminal.project.record(signal(), signal(sense="cpu-usage"))
    lines = on_terminal("cursor", "show")
    assert max(map(len, lines)) <= 80
    assert "begins with the next" in " ".join(lines)


@pytest.mark.parametrize(
    ("wanted", "new", "waiting"), [("1", 1, 4), ("0", 0, 5), ("oldest", 0, 5), ("5", 5, 0), ("newest", 5, 0)]
)  # fmt: skip
def test_a_position_is_set_back_and_forth_and_the_log_tells(got, json_lines, wanted, new, waiting):
    """SIG-7"""
    project = got(journal=2, database=3)
    done = project.here("cursor", "set", "cpu-usage", "disk", wanted, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    moved = {"target": "cpu-usage", "source": "disk", "old": 3, "new": new, "waiting": waiting}
    assert json_lines(done.stdout) == [moved]
    (line,) = shown(project, json_lines)
    assert (line["position"], line["waiting"]) == (new, waiting)
    ((source, payload),) = told(project)
    assert source == "cpu-usage"
    assert (payload["source"], payload["old"], payload["new"]) == ("disk", 3, new)
    os.close(project.state.lock())  # it holds the state directory no longer


def test_a_position_set_back_is_back_in_both_places(got):
    """SIG-7"""
    project = got(journal=4, database=4)
    project.here("cursor", "set", "cpu-usage", "disk", "1")
    assert stored(project) == (1, 1)


KILLED = """
import os, signal, sys
from nerve.cli import main
from nerve.store.journal import Journal
Journal.place_cursor = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["nerve", "cursor", "set", "cpu-usage", "disk", "1"]
main()
"""


def test_a_kill_between_the_two_places_leaves_the_position_where_it_was(got, json_lines):
    """SIG-7"""
    project = got(journal=4, database=4)
    command, environ = [sys.executable, "-c", KILLED], project.environ
    done = subprocess.run(command, cwd=project.folder, env=environ, check=False, timeout=60)
    assert done.returncode == -signals.SIGKILL
    assert stored(project) == (4, 1)
    assert shown(project, json_lines)[0]["position"] == 4
    assert told(project) == []


def test_what_follows_is_said(got):
    project = got(journal=5)
    done = project.here("cursor", "set", "cpu-usage", "disk", "3")
    assert done.stdout == "cpu-usage goes on after 3 of disk; it was 5\n"
    assert done.stderr == "2 signals of disk will be offered to cpu-usage at the next start\n"
    done = project.here("cursor", "set", "cpu-usage", "disk", "3")
    assert done.stdout == "cpu-usage goes on after 3 of disk, as before\n"
    assert len(told(project)) == 1
    done = project.here("cursor", "set", "cpu-usage", "disk", "newest")
    assert done.stderr == "no signal of disk waits for cpu-usage\n"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("missed: skip", "2 signals of disk will be skipped at the next start, for its reflex says missed: skip"),
        ("missed: all, catchup: 1h", "2 signals of disk will be offered to cpu-usage at the next start, as far as its reflex allows by catchup"),
        ("where: load > 5, catchup: 1h", "2 signals of disk will be offered to cpu-usage at the next start, as far as its reflex allows by where and catchup"),
    ],
)  # fmt: skip
def test_what_the_reflex_does_about_it_is_said(got, keys, said):
    project = got(journal=5)
    project.write(
        "nerve.yaml",
        f"senses: {{disk: , cpu-usage: }}\nreflexes: [{{kind: sense, sense: cpu-usage, on: disk, {keys}}}]\n",
    )
    assert project.here("cursor", "set", "cpu-usage", "disk", "3").stderr == f"{said}\n"


def test_the_next_start_offers_what_was_set_back(project):
    """SIG-7"""
    project.write(
        "nerve.yaml",
        "senses: {a: {}, b: {}}\nreflexes:\n- {kind: sense, sense: a, interval: 1h}\n- {kind: sense, sense: b, on: a}\n",
    )
    project.sense("a", "def compute(db, peers, ctx):\n    return {}\n")
    project.sense(
        "b",
        "def compute(db, peers, ctx):\n    return {'saw': [s.id for s in ctx.trigger.signals]}\n",
    )
    for _ in range(2):
        assert project.process("run", "--once").returncode == 0
    assert project.process("cursor", "set", "b", "a", "oldest").returncode == 0
    assert project.process("run", "--once").returncode == 0
    with closing(open_reader(project.state.journal_path)) as reader:
        rows = reader.execute("SELECT sense, id, payload FROM signals ORDER BY id").fetchall()
    first, second, third = (id_ for sense, id_, _ in rows if sense == "a")
    saw = [json.loads(payload)["saw"] for sense, _, payload in rows if sense == "b"]
    assert saw[:2] == [[first], [second]]
    assert saw[2:] in ([[first, second, third]], [[first, second], [third]])


def test_beside_a_nerve_that_cannot_be_asked_nothing_is_set(got):
    """CTL-1"""
    project = got(journal=4, database=4)
    lock = project.state.lock()
    done = project.here("cursor", "set", "cpu-usage", "disk", "oldest")
    os.close(lock)
    assert done.returncode == 69
    assert "has no control socket" in done.stderr
    assert (stored(project), told(project)) == ((4, 4), [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cpu-usag", "disk", "1"), 'did you mean "cpu-usage"?'),
        (("cpu-usage", "dikk", "1"), 'did you mean "disk"?'),
        (("cpu-usage", "nowhere", "1"), "it answers: disk"),
        (("disk", "cpu-usage", "1"), "it answers no signals"),
        (("cpu-usage", "disk", "6"), "there is no signal 6 yet; the newest entry is 5"),
        (("cpu-usage", "disk", "9" * 30), "neither an id nor newest nor oldest"),
        (("cpu-usage", "disk", "last"), "neither an id nor newest nor oldest"),
        (("cpu-usage", "disk", "²"), "neither an id nor newest nor oldest"),
    ],
)
def test_a_slip_moves_nothing(got, arguments, said):
    project = got(journal=4, database=4)
    done = project.here("cursor", "set", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert (stored(project), told(project)) == ((4, 4), [])


def test_where_nothing_has_run_there_is_nothing_to_show_or_set(project):
    """CTL-2"""
    assert project.here("cursor", "show").returncode == 69
    assert project.here("cursor", "set", "cpu-usage", "disk", "oldest").returncode == 69
    assert not project.state.root.exists()


def test_without_reflexes_on_signals_that_is_said(project, signal):
    project.write("nerve.yaml", "senses: {disk: {}}")
    project.record(signal())
    assert "has no reflex that answers signals" in project.nerve("cursor", "show").stderr
