"""These load senses in workers, so each command runs in a process of its own."""

import pytest

OPTIONS = """\
import nerve
from pydantic import Field


class Options(nerve.Options):
    percent: int = Field(90, description="Full from here on.")
    names: list[str] | None = None


def compute(db, peers, ctx):
    ctx.log.warning("looking at %s", ctx.options.percent)
    print("printed")
    return {"percent": ctx.options.percent}
"""
DEMANDING = OPTIONS.replace("Field(90, description", "Field(description")
LEAKY = """\
def compute(db, peers, ctx):
    print("the token is", ctx.secrets["token"])
    ctx.log.warning("token %s", ctx.secrets["token"])
    raise LookupError(ctx.secrets["token"])
"""
FILLING = """
from sqlalchemy import text
def compute(db, peers, ctx):
    for _ in range(7):
        db.execute(text("INSERT INTO readings (text) VALUES (:x)"), {"x": "x" * 99})
"""
TABLE = """
from alembic import op
revision, down_revision = "first", None
def upgrade():
    op.execute("CREATE TABLE readings (n INTEGER PRIMARY KEY, text)")
"""
HANGING = """import signal, time
def compute(db, peers, ctx):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(60)
"""
FAILING = """\
def compute(db, peers, ctx):
    raise LookupError("lost \\x1b[2J")
"""


@pytest.fixture
def one(project):
    """Write a project of the one sense `disk`, with this module and these options."""

    def write(module, options="{}"):
        project.write("nerve.yaml", f"senses:\n  disk:\n    options: {options}\n")
        project.sense("disk", module)
        return project

    return write


def test_a_sound_project_is_summed_up_in_a_line(project):
    project.sense("disk")
    project.sense("cpu-usage")
    done = project.here("check")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nerve.yaml: 2 senses in 2 groups, 3 reflexes: ok\n"


def test_faults_of_the_file_are_objects_with_json(project, json_lines):
    """CFG-1"""
    project.write("nerve.yaml", "senses:\n  disk: {timeout: soon}\n")
    done = project.here("check", "--json")
    assert done.returncode == 78
    (finding,) = json_lines(done.stdout)
    assert (finding["line"], finding["column"]) == (2, 19)
    assert finding["field"] == "senses.disk.timeout"
    assert finding["severity"] == "error"
    assert done.stderr == ""


def test_without_loading_a_broken_sense_is_not_seen(one):
    project = one("1/0\n")
    assert project.here("check", "--no-load").returncode == 0


def test_a_sense_that_cannot_be_loaded_is_found_with_its_line_and_frames(one):
    """BOOT-3"""
    done = one("1/0\n").here("check")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "nerve.yaml:2:3: senses.disk: import_raised: " in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert 'File "senses/disk/__init__.py", line 1' in done.stderr
    assert done.stderr.endswith("nerve: 1 sense cannot run\n")


def test_an_option_that_does_not_fit_is_a_fault_of_the_configuration(one, json_lines):
    """CFG-1"""
    project = one(OPTIONS, "{percent: many}")
    done = project.here("check", "--json")
    assert done.returncode == 78
    errors = [f for f in json_lines(done.stdout) if f["severity"] == "error"]
    (finding,) = errors
    assert (finding["line"], finding["column"]) == (3, 24)
    assert finding["field"] == "senses.disk.options.percent"
    assert finding["message"] == "must be a whole number"


def test_every_option_that_does_not_fit_has_its_own_place_and_words(one):
    """CFG-1"""
    done = one(DEMANDING, "{names: [1], percnt: 7}").here("check")
    assert done.returncode == 78
    assert done.stderr.splitlines()[-4:] == [
        "nerve.yaml:3:14: senses.disk.options: the key `percent` is missing",
        "nerve.yaml:3:23: senses.disk.options.names[0]: must be text",
        'nerve.yaml:3:27: senses.disk.options.percnt: unknown key; did you mean "percent"?',
        "nerve: 1 sense cannot run",
    ]


def test_a_missing_option_says_where_it_belongs_also_where_no_options_are_written(project):
    """CFG-1"""
    project.write("nerve.yaml", "senses: {disk: {}}\n")
    project.sense("disk", DEMANDING)
    done = project.here("check")
    assert "nerve.yaml:1:16: senses.disk.options: the key `percent` is missing" in done.stderr


def test_a_warning_is_told_and_is_no_failure(one):
    done = one(OPTIONS).here("check")
    assert done.returncode == 0
    assert "warning: nerve.yaml:2:3: senses.disk: " in done.stderr


def test_a_trial_shows_the_outcome_the_log_and_what_was_printed(one, json_lines):
    project = one(OPTIONS, "{percent: 7}")
    done = project.here("test", "disk", "--json")
    assert done.returncode == 0
    run, remains = json_lines(done.stdout)
    assert (run["outcome"], run["payload"], run["fault"]) == ("signal", {"percent": 7}, None)
    assert run["took_ms"] > 0
    logged = {"level": "warning", "message": "looking at 7", "logger": "sense.disk"}
    assert run["logs"] == [logged]
    assert run["printed"] == "printed\n"
    assert remains == {"rows": {}, "kept": {}, "logs": [], "printed": ""}
    assert not (project.folder / "data").exists()


def test_a_trial_shows_the_new_rows_of_each_run_and_no_more_than_a_few(project):
    project.write("nerve.yaml", "senses: {disk: {}}\n")
    project.sense("disk", FILLING)
    project.write("senses/disk/migrations/first.py", TABLE)
    done = project.here("test", "disk", "--times", "2")
    assert [line for line in done.stdout.splitlines() if not line.startswith("run ")] == [
        "  readings: 7 new, the first 5 of them",
        "    n  text",
        *(f"    {n}  {'x' * 39}…" for n in range(1, 6)),
        "  readings: 7 new, the first 5 of them",
        "    n   text",
        *(f"    {n:<2}  {'x' * 39}…" for n in range(8, 13)),
        "table readings: 14 rows",
    ]


def test_a_trial_can_be_caused_by_signals(project, json_lines):
    project.write("nerve.yaml", "senses: {disk: {}, heat: {}}\n")
    project.sense(
        "disk", "def compute(db, peers, ctx):\n    return [s.payload for s in ctx.trigger.signals]"
    )
    done = project.here("test", "disk", "--json", "--signal", "heat=[80]", "--signal", "heat=true")
    assert json_lines(done.stdout)[0]["payload"] == [[80], True]
    misspelt = project.here("test", "disk", "--signal", "haet=1")
    assert (misspelt.returncode, 'did you mean "heat"?' in misspelt.stderr) == (2, True)
    broken = project.here("test", "disk", "--signal", "heat=[80")
    assert broken.returncode == 2
    assert "the payload of heat is no JSON" in broken.stderr


def test_a_trial_can_be_given_a_payload(project, json_lines):
    project.write("nerve.yaml", "senses: {disk: {}}\n")
    project.sense("disk", "def compute(db, peers, ctx):\n    return list(ctx.trigger.payloads)\n")
    done = project.here("test", "disk", "--json", "--payload", '{"n": 1}')
    assert json_lines(done.stdout)[0]["payload"] == [{"n": 1}]
    broken = project.here("test", "disk", "--payload", "{n: 1}")
    assert (broken.returncode, "the payload is no JSON" in broken.stderr) == (2, True)


def test_a_trial_of_a_sense_that_hangs_says_where(project):
    """RUN-3"""
    project.write("nerve.yaml", "senses: {disk: {timeout: 100ms, grace_period: 100ms}}\n")
    project.sense("disk", HANGING)
    done = project.here("test", "disk")
    assert "run 1: killed, " in done.stdout
    assert "line 4 in compute" in done.stdout


def test_a_trial_that_fails_shows_the_authors_frames_and_ends_with_1(one):
    """RUN-5"""
    done = one(FAILING).here("test", "disk")
    assert done.returncode == 1
    assert "run 1: error" in done.stdout
    assert 'raise LookupError("lost' in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_trial_shows_no_secret(project, arguments):
    """CFG-8"""
    project.write("nerve.yaml", "senses: {disk: {secrets: {token: tok-very-secret}}}\n")
    project.sense("disk", LEAKY)
    done = project.here("test", "disk", *arguments)
    shown = done.stdout + done.stderr
    assert "the token is ****" in shown
    assert "tok-very-secret" not in shown


def test_a_trial_of_a_sense_that_cannot_be_loaded_says_why(one):
    """BOOT-3"""
    done = one("compute = 7\n").here("test", "disk")
    assert done.returncode == 1
    assert "not_callable" in done.stderr


def test_a_trial_of_a_sense_that_ends_its_worker_says_so(one):
    """RUN-5"""
    done = one("import os\ndef compute(db, peers, ctx):\n    os._exit(3)\n").here("test", "disk")
    assert done.returncode == 1
    assert "run 1: crashed, " in done.stdout
    assert "exited with 3" in done.stdout


def test_describe_tells_what_is_known_from_all_three_sources(one, json_lines, signal):
    project = one('"""How full."""\n' + OPTIONS)
    project.write(
        "nerve.yaml",
        project.config.read_text()
        + "  heat: {}\nreflexes:\n"
        + "  - {kind: sense, sense: disk, interval: 5s}\n"
        + "  - {kind: sense, sense: heat, on: disk}\n",
    )
    project.record(signal(), counts=[("disk", "signal", 1)])
    done = project.here("describe", "disk", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json_lines(done.stdout)
    assert told["doc"] == "How full."
    assert told["found"] == "folder"
    assert told["runs"] == ["every 5s"]
    assert told["listeners"] == ["heat"]
    assert told["options"][0] == {
        "name": "percent",
        "type": "integer",
        "default": 90,
        "description": "Full from here on.",
    }
    assert told["options"][1]["type"] == "array of string or null"
    assert told["outcomes"][0]["outcome"] == "signal"
    text = project.here("describe", "disk").stdout
    assert "Full from here on." in text
    assert "(none yet)" in text


def test_describe_wraps_what_is_too_long_for_a_terminal(on_terminal):
    """CTL-3"""
    long = "words that explain the share from which a file system counts as full " * 2
    doc = "One line of prose that is\nshort.\n\n    kept as\n    it is\n"
    text = f'"""{doc}"""\n' + OPTIONS.replace("Full from here on.", long.strip())
    on_terminal.project.sense("disk", text)
    lines = on_terminal("describe", "disk")
    assert lines[1:5] == ["  One line of prose that is short.", "", "      kept as", "      it is"]
    assert max(map(len, lines)) <= 80
    assert long.strip() in " ".join(map(str.strip, lines))


def test_describe_of_a_broken_sense_says_what_is_wrong_and_ends_with_1(one):
    done = one("1/0\n").here("describe", "disk")
    assert done.returncode == 1
    assert "import_raised" in done.stderr


KEEPING = """\
import nerve
import sqlalchemy as sa

retention = {"readings": nerve.Retention(column="at_us", keep="7d")}


class Options(nerve.Options):
    percent: int = 90


def compute(db, peers, ctx):
    db.execute(sa.text("INSERT INTO readings VALUES (1)"))
"""
READINGS = """\
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE readings (at_us INTEGER)")
"""


@pytest.fixture
def keeping(project):
    """Write a project whose sense keeps rows, with these settings of it."""

    def write(settings, module=KEEPING):
        project.write("nerve.yaml", f"senses:\n  disk:\n{settings}")
        project.sense("disk", module)
        project.write("senses/disk/migrations/0001_readings.py", READINGS)
        return project

    return write


def test_a_retention_of_a_table_that_has_none_is_found_at_its_key(keeping):
    """CFG-1"""
    done = keeping("    retention:\n      reading: 30d\n").here("check")
    assert done.returncode == 78
    assert (
        'nerve.yaml:4:7: senses.disk.retention.reading: unknown key; did you mean "readings"?'
    ) in done.stderr.splitlines()


def test_an_option_that_would_keep_rows_is_told_where_that_stands(keeping):
    """CFG-1"""
    done = keeping("    options: {keep_days: 30}\n").here("check")
    assert done.returncode == 78
    assert "senses.disk.options.keep_days: unknown key; how long rows are kept" in done.stderr
    assert "retention: {readings: 7d}" in done.stderr


def test_a_retention_that_does_not_fit_the_tables_is_found_before_a_run(keeping):
    """BOOT-3"""
    done = keeping("    group: g\n", KEEPING.replace("at_us", "at", 1)).here("check")
    assert done.returncode == 1
    assert (
        "retention_invalid: retention of table 'readings': there is no column 'at'" in done.stderr
    )


def test_describe_and_test_show_how_long_rows_are_kept(keeping, json_lines):
    project = keeping("    retention: {readings: 30d}\n")
    (told,) = json_lines(project.here("describe", "disk", "--json").stdout)
    assert told["retention"] == [
        {"table": "readings", "kept": "30d", "default": "7d", "column": "at_us"}
    ]
    assert "by column" in project.here("describe", "disk").stdout
    assert "table readings: 1 row, kept 30d" in project.here("test", "disk").stdout
    *_, remains = json_lines(project.here("test", "disk", "--json").stdout)
    assert remains["kept"] == {"readings": "30d"}
