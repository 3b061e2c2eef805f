"""`nerve status`: with a nerve that is made up, with none, and with one that runs."""

import json
import os
import signal
import termios
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from nerve.cli.remote import NotRunning
from nerve.cli.sheet import Sheet, plain
from nerve.cli.status.command import _lines
from nerve.cli.status.needs import needs_of
from nerve.cli.status.objects import objects
from nerve.cli.status.picture import Picture
from nerve.cli.status.recorded import Boot, Lag, Ran, Recorded
from nerve.cli.status.screen import screen
from nerve.cli.wording import cells
from nerve.clock import US_PER_S
from nerve.store.batch import Batch, Pause, Quarantine
from nerve.store.journal import Journal
from nerve.wire.status import GroupStatus, SenseStatus, StatusReply
from tests.cli.conftest import AT_US, RUNNING
from tests.cli.watched import ENTER, LEAVE, watching

NOW_US = AT_US + 3_600 * US_PER_S
BERLIN = ZoneInfo("Europe/Berlin")


def group(name="host", state="idle", **more):
    return GroupStatus(name=name, state=state, pid=more.pop("pid", 4711), generation=1, **more)


def sense(name="disk", phase="quiet", **more):
    return SenseStatus(name=name, group=more.pop("group", "host"), phase=phase, **more)


def picture(*senses, groups=(), files=None, **more):
    """A nerve that runs, with these senses in the group `host`."""
    nerve = StatusReply(
        pid=4700,
        version="0.1.0",
        boot="b",
        started_us=NOW_US - 900 * US_PER_S,
        loaded_us=NOW_US - 900 * US_PER_S,
        now_us=NOW_US,
        config="/srv/nerve.yaml",
        timezone="Europe/Berlin",
        is_ready=more.pop("is_ready", True),
        groups=(),
        senses=(),
        **more,
    )
    return Picture(
        NOW_US, BERLIN, nerve, None, groups or (group(),), senses or (sense(),), files or Recorded()
    )


def shown(found, width=80, height=None, paint=lambda text, style: text):
    return screen(found, needs_of(found), Sheet(width, height, paint))


def test_all_is_well_is_said_in_the_first_line():
    head, about, *_ = shown(picture())
    assert head == "nerve 0.1.0, process 4700, up 15m: all is well"
    assert about == "since 02:48:18 Europe/Berlin, 1 group, 1 sense, /srv/nerve.yaml"


def test_a_sense_that_has_just_run_for_the_first_time_is_not_said_to_have_never_run():
    """CTL-2: how it ended is written within a second."""
    lines = "\n".join(shown(picture(sense(runs=1, took_us=1_000))))
    assert "just now" in lines
    assert "never ran" not in lines


def test_a_nerve_that_noted_no_end_is_not_said_to_have_been_killed():
    """BOOT-4: it may have lost its directory, and then it has ended by itself."""
    boot = Boot(4700, "0.1.0", NOW_US - 900 * US_PER_S, None, None)
    absent = replace(picture(files=Recorded(boot=boot)), nerve=None)
    head, about, *_ = shown(absent)
    assert head == "nerve does not run: the one started at 02:48:18 ended without a word"
    assert about.startswith("killed, its machine went down, or this directory was moved")


def test_a_start_under_way_is_no_trouble_at_first_and_needs_somebody_after_a_minute():
    starting = picture(is_ready=False)
    assert needs_of(starting)[0].word == "starting"
    assert starting.nerve is not None
    recent = starting.nerve.model_copy(update={"started_us": NOW_US - US_PER_S})
    assert shown(replace(starting, nerve=recent))[0].endswith("up 1.0s: starting")


EVERYTHING = {
    "storage": (picture(trouble="logs.db: disk full"), "nerve doctor", "disk full"),
    "fatal": (picture(groups=(group(state="fatal"),)), "nerve restart host", "too often"),
    "dying": (
        picture(groups=(group(state="backoff", deaths=3, starts_at_us=NOW_US + US_PER_S),)),
        "nerve logs --source host --level error",
        "3 times within a minute",
    ),
    "quarantined": (
        picture(
            files=Recorded(
                quarantined={
                    "disk": Quarantine("disk", 1, AT_US, NOW_US + 60 * US_PER_S, "it crashed")
                }
            )
        ),
        "nerve why disk",
        "until 03:04:18 (1m more): it crashed",
    ),
    "unavailable": (
        picture(sense(blocked="unavailable", why="no module")),
        "nerve why disk",
        "no module",
    ),
    "error": (
        picture(files=Recorded(ran={"disk": Ran("error", AT_US, 9, 3, AT_US, 3, "OSError: no")})),
        "nerve why disk",
        "OSError: no (1h00m ago, 3 times since 02:03:18)",
    ),
    "late": (
        picture(sense(phase="waiting", waiting_since_us=NOW_US - 9 * US_PER_S)),
        "nerve why disk",
        "waits 9.0s for its turn in the group host",
    ),
    "lagging": (
        picture(files=Recorded(lags={"disk": [Lag("cpu", 7, AT_US, is_more=True)]})),
        "nerve why disk",
        "7 signals or more of cpu, for 1h00m",
    ),
    "changed": (replace(picture(), is_changed=True), "nerve reload", "changed"),
    "restart": (picture(needs_restart=("state_dir",)), "nerve stop", "state_dir"),
    "paused": (
        picture(files=Recorded(paused={"disk": Pause("disk", AT_US, "until Friday")})),
        "nerve resume disk",
        "since 02:03:18: until Friday",
    ),
}


@pytest.mark.parametrize("word", EVERYTHING)
def test_what_needs_a_person_is_told_with_the_command_to_type(word):
    found, command, text = EVERYTHING[word]
    (need,) = needs_of(found)
    assert (need.word, need.command) == (word, command)
    assert text in need.text
    lines = shown(found, width=140)
    assert lines[0].endswith("up 15m: 1 thing needs you")
    assert lines[3].startswith(word)
    assert command in lines[3]
    assert text in lines[3]


def test_the_worst_stands_first_and_what_follows_from_it_is_not_told_again():
    found = picture(
        sense("a", blocked="unavailable", why="the group web was given up", group="web"),
        sense("b", late_us=9 * US_PER_S),
        groups=(group("web", "fatal"), group()),
        trouble="disk full",
    )
    assert [need.word for need in needs_of(found)] == ["storage", "fatal", "late"]


def test_what_takes_care_of_itself_needs_nobody():
    throttled = sense(held_until_us=NOW_US + US_PER_S, held_by="throttled", phase="deferred")
    lag = Recorded(lags={"disk": [Lag("cpu", 7, AT_US)]})
    assert needs_of(picture(throttled, files=lag)) == []
    over = Quarantine("disk", 1, AT_US, NOW_US - 1, "on trial")
    assert needs_of(picture(files=Recorded(quarantined={"disk": over}))) == []
    assert needs_of(picture(sense(late_us=US_PER_S))) == []


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"phase": "running", "started_us": NOW_US - 3 * US_PER_S}, "runs for 3.0s"),
        ({"phase": "waiting", "waiting_since_us": NOW_US - US_PER_S}, "waits 1.0s behind cpu"),
        ({"next_us": NOW_US + 7 * US_PER_S}, "in 7.0s"),
        ({"sources": ("cpu",)}, "on cpu"),
        ({"next_us": NOW_US + 7 * US_PER_S, "sources": ("cpu", "heat")}, "in 7.0s, on cpu, ..."),
        (
            {"held_until_us": NOW_US + 2 * US_PER_S, "held_by": "throttled"},
            "in 2.0s: its throttle",
        ),
        ({"blocked": "unavailable"}, "unavailable"),
        ({}, "-"),
    ],
)
def test_each_sense_says_what_it_does_or_when_it_runs_next(what, told):
    busy = group(state="busy", running="cpu", running_since_us=NOW_US - US_PER_S, waiting=2)
    lines = shown(picture(sense(**what), groups=(busy,)))
    assert lines[-1].endswith(f"  {told}")
    assert any(line.endswith("cpu for 1.0s, 2 wait") for line in lines)


def test_a_sense_whose_group_was_given_up_is_not_said_to_be_unavailable_itself():
    lines = shown(picture(sense(blocked="unavailable"), groups=(group(state="fatal"),)))
    assert lines[-1].endswith("  its group was given up")


def test_a_message_has_three_lines_of_80_columns_where_there_is_room_and_its_end_is_seen():
    failed = Ran("error", NOW_US, 3, 3, NOW_US - 9 * US_PER_S, 3, "no answer " * 7)
    found = picture(files=Recorded(ran={"disk": failed}))
    assert "3 times since" in " ".join(" ".join(shown(found, height=22)).split())


def crowd(number):
    senses = [sense(f"sense-{n:05}", next_us=NOW_US + US_PER_S) for n in range(number)]
    broken = sense("zebra", blocked="unavailable", why="import it\x1b[31m " + "x" * 300)
    groups = [group(f"group-{n:03}") for n in range(40)]
    return picture(*senses, broken, groups=(*groups, group("zoo", "backoff", deaths=2)))


@pytest.mark.parametrize("width", [20, 40, 80, 140])
@pytest.mark.parametrize("height", [24, 40])
def test_ten_thousand_senses_are_one_screen_with_those_first_that_need_something(width, height):
    """CTL-3"""
    lines = shown(crowd(10_000), width, height)
    assert len(lines) <= height
    assert max(map(cells, lines)) <= width
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert text.index("zoo") < text.index("group-000")
    assert text.rindex("zebra") < text.index("sense-00000")
    assert "more senses: nerve"[: width - 4] in lines[-1] or width == 20


@pytest.mark.parametrize("height", [1, 5, 12, 24])
def test_where_much_needs_a_person_it_fits_and_what_is_not_shown_is_counted(height):
    """CTL-3"""
    broken = [sense(f"broken-{n:02}", blocked="unavailable", why="x" * 100) for n in range(20)]
    found = picture(*broken, groups=[group(f"group-{n:02}") for n in range(40)])
    whole, lines = shown(found, height=60), shown(found, height=height)
    assert len(whole) <= 60
    assert len(lines) == height
    assert "more" in lines[-1]
    assert "nerve status --all" in lines[-1]


def test_what_is_watched_fits_with_what_there_is_to_do_below_it():
    """CTL-3"""
    found = replace(picture(), nerve=None, absence=NotRunning("none runs " * 9, hint="start it"))
    lines = _lines(found, Sheet(40, 12, plain))
    assert len(lines) <= 12
    assert max(map(cells, lines)) <= 40
    assert lines[-1] == "start it"
    assert "more lines: nerve status" in _lines(found, Sheet(40, 4, plain))[-1]


def test_all_shows_everything():
    """CTL-3"""
    text = "\n".join(shown(crowd(100), height=None))
    assert "sense-00099" in text
    assert "group-039" in text
    assert "x" * 300 in text.replace("\n", "").replace(" ", "")
    assert "more" not in text


def test_no_colour_says_what_no_word_says():
    """CTL-3"""
    plain = shown(crowd(9), 80, 24)
    styles = set()

    def paint(text, style):
        styles.add(style)
        return f"<{text}>"

    coloured = shown(crowd(9), 80, 24, paint)
    assert [line.replace("<", "").replace(">", "") for line in coloured] == plain
    assert {"error", "bold"} <= styles


def test_json_has_an_object_for_nerve_each_need_each_group_and_each_sense():
    """CTL-3"""
    found, *_ = EVERYTHING["quarantined"]
    said = list(objects(found, needs_of(found)))
    assert [one["kind"] for one in said] == ["nerve", "need", "group", "sense"]
    assert said[0]["running"] is True
    assert said[0]["well"] is False
    assert said[1]["command"] == "nerve why disk"
    assert said[3]["quarantine"] == {"until": "2026-11-21T02:04:18.318013Z", "reason": "it crashed"}
    assert json.dumps(said)


# --- without a running nerve ---------------------------------------------------------------


def store(project, **changes):
    project.state.create()
    journal = Journal(project.state.journal_path)
    journal.begin_boot("b", pid=1, version="0.1.0", at_us=AT_US)
    journal.commit(Batch(**changes))
    journal.close()


def test_without_a_nerve_the_files_tell_and_the_exit_code_is_69(project):
    """CTL-2"""
    batch = Batch()
    batch.count("disk", "error", AT_US, 2, "OSError: no")
    paused = {"cpu-usage": Pause("cpu-usage", AT_US, "until Friday")}
    store(project, counts=batch.counts, paused=paused)
    done = project.nerve("status")
    assert done.exit_code == 69
    assert "nerve does not run: the one started at" in done.stdout
    assert "error   disk       nerve why disk" in done.stdout
    assert "paused  cpu-usage  nerve resume cpu-usage" in done.stdout
    assert done.stderr.startswith("nerve: no nerve runs in ")
    assert "hint: start it with: nerve run" in done.stderr


def test_a_nerve_that_does_not_answer_is_not_said_to_be_gone(project):
    """CTL-2"""
    store(project)
    lock = project.state.lock()
    done = project.nerve("status")
    os.close(lock)
    assert done.exit_code == 69
    assert done.stdout.startswith(f"nerve does not answer: process {os.getpid()}\n")
    assert f"process {os.getpid()} runs nerve in " in done.stderr


def test_where_nothing_has_run_the_senses_are_shown_all_the_same(project):
    """CTL-2"""
    done = project.nerve("status")
    assert done.exit_code == 69
    assert done.stdout.splitlines()[0] == "nerve does not run: nothing has run here yet"
    assert "never ran" in done.stdout


def test_without_a_nerve_json_is_on_stdout_and_the_sentence_on_stderr(project, json_lines):
    """CTL-2, CTL-3"""
    done = project.nerve("status", "host", "--json")
    assert done.exit_code == 69
    nerve, of_group, of_sense = json_lines(done.stdout)
    assert (nerve["running"], of_group["group"], of_sense["sense"]) == (False, "host", "disk")


def test_a_name_that_nothing_bears_is_refused_with_what_is_there(project):
    done = project.nerve("status", "dusk")
    assert done.exit_code == 2
    assert "no sense and no group has the name dusk" in done.stderr


def test_a_journal_that_cannot_be_read_is_what_needs_a_person(project):
    project.state.create()
    project.state.journal_path.write_bytes(b"no database at all" * 100)
    done = project.nerve("status")
    assert done.exit_code == 69
    assert "nerve doctor" in done.stdout
    assert "is no SQLite database" in " ".join(done.stdout.split())
    assert "what it did last is not known" in done.stdout
    assert "never" not in done.stdout


def test_a_fault_elsewhere_in_the_configuration_is_told_where_no_nerve_runs(project):
    project.write("nerve.yaml", "senses: {disk: {timeout: soon}}\n")
    assert project.nerve("status").exit_code == 78


# --- with one that runs --------------------------------------------------------------------


def test_a_nerve_that_runs_is_asked_and_all_is_well(running, json_lines):
    done = running.nerve("status", "--json")
    assert done.exit_code == 0
    nerve, of_group, of_sense = json_lines(done.stdout)
    assert nerve["running"]
    assert nerve["well"]
    assert nerve["ready"]
    assert nerve["pid"] == running.state.holder()
    assert of_group["state"] in {"idle", "busy"}
    assert of_group["pid"]
    assert of_sense["sense"] == "calm"
    assert of_sense["next"] > nerve["at"]
    assert of_sense["runs"] >= 1
    assert of_sense["late_ms"] is not None


def test_what_is_not_needed_beside_a_nerve_that_runs_is_not_imported(running):
    done = running.process("status", env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "nerve.wire.status" in imported
    large = {"nerve.config.models", "sqlalchemy", "alembic", "rich", "psutil", "asyncio"}
    assert not imported & large


def test_a_broken_nerve_yaml_beside_a_nerve_that_runs_is_no_reason_to_see_nothing(running):
    """CTL-2"""
    running.write("nerve.yaml", "senses: {calm: {timeout: soon}}\n")
    os.utime(running.config, (2_000_000_000, 2_000_000_000))
    done = running.nerve("status")
    assert done.exit_code == 1
    assert "nerve reload" in done.stdout
    assert "calm" in done.stdout


def test_the_parent_refuses_a_name_that_it_does_not_have(running):
    done = running.nerve("status", "calmer")
    assert done.exit_code == 2
    assert 'did you mean "calm"?' in done.stderr


def test_watch_draws_in_place_and_ctrl_c_ends_it_quietly(running):
    with watching(running, "status", "--watch", "0.2") as watched:
        watched.until(ENTER)
        watched.until("all is well")
        watched.until("all is well")
        os.killpg(watched.process.pid, signal.SIGINT)
        watched.ends(0)
        assert "Traceback" not in watched.seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_watch_gives_the_terminal_back_when_it_is_ended(project, number, code):
    with watching(project, "status", "--watch") as watched:
        watched.until("nerve does not run")
        watched.process.send_signal(number)
        watched.ends(code)


def test_watch_gives_the_terminal_back_while_it_is_stopped(project):
    with watching(project, "status", "--watch", "0.2") as watched:
        watched.until("nerve does not run")
        watched.process.send_signal(signal.SIGTSTP)
        watched.until(LEAVE)
        _, status = os.waitpid(watched.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        watched.process.send_signal(signal.SIGCONT)
        watched.until(ENTER)
        watched.until("nerve does not run")
        os.write(watched.ours, b"q")
        watched.ends(0)


def test_watch_follows_the_size_of_the_terminal(project):
    with watching(project, "status", "--watch", "60", columns=80) as watched:
        watched.until("disk")
        termios.tcsetwinsize(watched.ours, (24, 30))
        os.killpg(watched.process.pid, signal.SIGWINCH)
        assert "nothing has run" not in watched.until("…")
        os.write(watched.ours, b"q")
        watched.ends(0)


def test_watch_shows_that_nerve_stops_and_starts_again(project, background):
    """CTL-2"""
    project.write("nerve.yaml", RUNNING)
    project.sense("calm")
    with watching(project, "status", "--watch", "0.2") as watched:
        watched.until("nothing has run here yet")
        process = background("run")
        watched.until("all is well")
        process.send_signal(signal.SIGTERM)
        watched.until("nerve does not run: stopped at")
        background("run")
        watched.until("all is well")
        os.write(watched.ours, b"q")
        watched.ends(0)


def test_watch_without_a_terminal_prints_a_block_each_time(project, background):
    process = background("status", "--watch", "0.2")
    heads = [
        line for line in (process.stdout.readline() for _ in range(20)) if "nerve does" in line
    ]
    assert len(heads) > 1
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_a_name_behind_watch_is_told_where_it_belongs(project):
    done = project.nerve("status", "--watch", "disk")
    assert done.exit_code == 2
    assert "names stand before --watch" in done.stderr


def test_why_adds_what_the_running_nerve_does_with_the_sense(project, background, json_lines):
    """CTL-2"""
    senses = "senses: {hung: {}, queued: {}, calm: {group: apart, throttle: 1h}}\n"
    reflexes = "reflexes: [{kind: sense, sense: [hung, calm, queued], interval: 2s}]\n"
    project.write("nerve.yaml", senses + reflexes)
    hung = "import time\n\n\ndef compute(db, peers, ctx):\n    print('hangs')\n    time.sleep(60)\n"
    project.sense("hung", hung)
    project.sense("queued")
    project.sense("calm", "def compute(db, peers, ctx):\n    return {'summary': 'calm'}\n")
    process = background("run")
    for line in process.stdout:
        if "coalesced" in line or "hangs" in line:
            break
    (hangs,) = json_lines(project.nerve("why", "hung", "--json").stdout)
    assert hangs["now"].startswith("it has been running for ")
    (waits,) = json_lines(project.nerve("why", "queued", "--json").stdout)
    assert " for its turn in default behind hung" in waits["now"]
    shown = project.nerve("list", "senses").stdout
    assert "every 2s (in " in shown
    asked = project.nerve("status", "hung").stdout
    assert "runs for" in asked


def test_a_short_condition_stands_in_the_list_of_senses_and_a_secret_does_not(project):
    project.write(
        "nerve.yaml",
        "senses: {disk: {secrets: {token: hunter2-hunter2}}, cpu: {}}\n"
        "reflexes: [{kind: sense, sense: cpu, on: disk, where: \"user == 'hunter2-hunter2'\"}]\n",
    )
    shown = project.nerve("list", "senses").stdout
    assert "on disk, where user == " in shown
    assert "hunter2" not in shown
