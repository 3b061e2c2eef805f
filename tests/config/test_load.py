import errno
import os
from pathlib import Path

import pytest

from nerve.config import Config, ConfigFaults, Problem, SenseConfig, find_config, load_config
from nerve.config.faults import MAX_FAULTS, Fault
from nerve.config.whereabouts import find_state_dir
from nerve.errors import ConfigurationInvalid, Exit

EXAMPLE = """
    timezone: Europe/Berlin
    state_dir: data
    senses:
      cpu-usage:
        group: system
        throttle: 2s
        timeout: 5s
        grace_period: 2s
        options: {per_core: true}
      load-trend:
      heat:
    reflexes:
      - {kind: sense, sense: cpu-usage, interval: 10s, jitter: 500ms}
      - {kind: sense, sense: [load-trend, heat], on: [cpu-usage]}
      - {kind: workflow, workflow: page-me, on: [load-trend]}
    workflows:
      page-me: {concurrency: 1, overflow: queue, max_queue: 100}
    """

FAULTY = """
    timezone: Europe/Berlinn
    stat_dir: x
    senses:
      cpu-usage: {timout: 5s, timeout: 5x, durability: fulll, options: {a: "${NOPE}"}, env: [a-b]}
      Disk_Usage: {use: a-b, secrets: {pin: 1234}, options: [], group: 3}
      disk:
    reflexes:
      - {kind: sense, sense: cpu_usage, interval: 10s}
      - {kind: sens, sense: disk}
      - {sense: disk}
      - {kind: workflow, workflow: pageme}
      - {kind: workflow, workflow: pageme, on: disk}
      - {kind: sense, sense: disk, interval: 0s, align: on}
      -
      - {kind: sense, sense: disk, cron: "99 * * * *"}
      - {kind: sense, sense: [], on: [disk, disk]}
    workflows:
      page-me: {overflow: drop, max_queue: 3}
      b: {overflow: queue, max_queue: 0, concurrency: true}
      c: {}
      d: 4
    """

EXPECTED = """\
nerve.yaml:2:11: timezone: unknown time zone 'Europe/Berlinn'; write one like Europe/Berlin
nerve.yaml:3:1: stat_dir: unknown key; did you mean "state_dir"?
nerve.yaml:5:15: senses.cpu-usage.timout: unknown key; did you mean "timeout"?
nerve.yaml:5:36: senses.cpu-usage.timeout: not a duration: '5x'; write 500ms, 5s, 10m, 1h30m or 1d
nerve.yaml:5:52: senses.cpu-usage.durability: must be normal or full; did you mean "full"?
nerve.yaml:5:72: senses.cpu-usage.options.a: the environment variable NOPE is not set; set it, or write ${NOPE:-default}
nerve.yaml:5:90: senses.cpu-usage.env[0]: must be the name of an environment variable
nerve.yaml:6:3: senses.Disk_Usage: a name has lower-case letters, digits and hyphens, starts with a letter, and is at most 64 characters long; did you mean "disk-usage"?
nerve.yaml:6:21: senses.Disk_Usage.use: must be the dotted path of a module, such as my_package.my_sense
nerve.yaml:6:41: senses.Disk_Usage.secrets.pin: must be text; put it in quotes
nerve.yaml:6:57: senses.Disk_Usage.options: must be a mapping, with a key and a value on each line
nerve.yaml:6:68: senses.Disk_Usage.group: must be text; put it in quotes
nerve.yaml:9:26: reflexes[0].sense: a name has lower-case letters, digits and hyphens, starts with a letter, and is at most 64 characters long; did you mean "cpu-usage"?
nerve.yaml:10:12: reflexes[1].kind: must be sense or workflow; did you mean "sense"?
nerve.yaml:11:5: reflexes[2]: the key `kind` is missing; it is sense or workflow
nerve.yaml:12:5: reflexes[3]: the key `on` is missing
nerve.yaml:13:32: reflexes[4].workflow: there is no workflow 'pageme'; did you mean "page-me"?
nerve.yaml:14:42: reflexes[5].interval: must be longer than nothing
nerve.yaml:14:53: reflexes[5].align: must be true or false; in YAML 1.2 on is text
nerve.yaml:15:4: reflexes[6]: must be a mapping, with a key and a value on each line
nerve.yaml:16:38: reflexes[7].cron: bad cron expression '99 * * * *': '99' is no minute; write 0 to 59, with * for all, lists (1,15), ranges that go up (1-5) and steps (*/15)
nerve.yaml:17:26: reflexes[8].sense: must not be empty
nerve.yaml:17:34: reflexes[8].on: 'disk' stands here twice
nerve.yaml:19:29: workflows.page-me.max_queue: overflow: drop has no queue, so there is no max_queue; remove it, or write overflow: queue
nerve.yaml:20:35: workflows.b.max_queue: must be at least 1
nerve.yaml:20:51: workflows.b.concurrency: must be a whole number
nerve.yaml:21:6: workflows.c: the key `overflow` is missing; it is queue or drop
nerve.yaml:22:6: workflows.d: must be a mapping, with a key and a value on each line
"""


def test_the_example_of_the_documentation_loads_and_warns_of_its_workflow_alone(load):
    loaded = load(EXAMPLE)
    assert loaded.config.senses["cpu-usage"].timeout_ms == 5_000
    assert loaded.config.reflexes[1].sense == ("load-trend", "heat")
    assert [warning.field for warning in loaded.warnings] == ["reflexes[2].workflow"]


def test_all_faults_are_shown_at_once_each_with_file_line_column_and_field(faults):
    """CFG-1"""
    assert "\n".join(faults(FAULTY)) + "\n" == EXPECTED


def test_faults_end_in_exit_code_78(load):
    """CFG-1"""
    with pytest.raises(ConfigurationInvalid) as caught:
        load("a")
    assert caught.value.exit_code == Exit.CONFIGURATION == 78


def test_after_a_hundred_faults_the_rest_is_counted(load):
    """CFG-1"""
    with pytest.raises(ConfigFaults) as caught:
        load("reflexes:\n" + "- {}\n" * 250)
    assert len(caught.value.faults) == MAX_FAULTS
    assert caught.value.omitted == 150
    assert str(caught.value).endswith("... and 150 more faults")


def test_a_long_value_is_cut_where_a_fault_quotes_it(faults):
    [line] = faults("timezone: " + "x" * 5_000)
    assert len(line) < 500


def test_a_key_cannot_send_escape_sequences_to_the_terminal(faults):
    [line] = faults('"\\e[31m": 1')
    assert line == 'nerve.yaml:1:1: "\\u001b[31m": unknown key'


@pytest.mark.parametrize("blank", ["", '""', '"  "', "~", '"${EMPTY}"'])
@pytest.mark.parametrize(
    "key",
    [
        "use",
        "group",
        "throttle",
        "timeout",
        "grace_period",
        "durability",
        "options",
        "secrets",
        "env",
    ],
)
def test_a_blank_key_of_a_sense_counts_as_absent(load, key, blank):
    """CFG-3"""
    assert (
        load(f"senses:\n  disk:\n    {key}: {blank}", EMPTY="").config.senses["disk"]
        == SenseConfig()
    )


@pytest.mark.parametrize("blank", ["", '""', '" "', "~"])
def test_a_blank_top_level_key_counts_as_absent(load, blank):
    """CFG-3"""
    keys = ["timezone", "state_dir", "senses", "reflexes", "workflows"]
    assert load("".join(f"{key}: {blank}\n" for key in keys)).config == Config()


def test_blank_strings_in_lists_and_secrets_and_options_count_as_absent(load):
    """CFG-3"""
    sense = load(
        'senses: {disk: {env: ["", A], secrets: {a: "", b: x}, options: {a: " ", b: null, c: ["", null, 1], d: {e: ""}}}}'
    ).config.senses["disk"]
    assert sense.env == ("A",)
    assert sense.secrets == {"b": "x"}
    assert sense.options == {"b": None, "c": [None, 1], "d": {}}


def test_every_optional_field_is_there_and_null_after_parsing(load):
    """CFG-3"""
    config = load("senses: {disk: }\nreflexes: [{kind: sense, sense: disk, interval: 1s}]").config
    sense, reflex = config.senses["disk"].model_dump(), config.reflexes[0].model_dump()
    assert {key for key, value in sense.items() if value is None} == {"use", "throttle_ms"}
    absent = {key for key, value in reflex.items() if value is None}
    assert absent == {
        "jitter_ms",
        "cron",
        "timezone",
        "on",
        "where",
        "debounce_ms",
        "missed",
        "catchup_ms",
    }


def test_a_section_as_json_reads_back_as_itself(load):
    config = load(EXAMPLE).config
    assert Config.model_validate_json(config.model_dump_json(by_alias=True)) == config


@pytest.mark.parametrize(
    ("reflex", "said"),
    [
        ("kind: sense, sense: a", "needs exactly one of interval, cron and on; found none"),
        ('kind: sense, sense: a, interval: 1s, cron: "* * * * *"', "found interval and cron"),
        ("kind: sense, sense: a, interval: 1s, on: a", "found interval and on"),
        ("kind: sense, sense: a, on: a, jitter: 1s", "jitter and align go with interval only"),
        ("kind: sense, sense: a, interval: 1s, jitter: 2s", "jitter is longer than the interval"),
        ("kind: sense, sense: a, interval: 1s, timezone: UTC", "timezone goes with cron or align only"),
        ("kind: sense, sense: a, on: a, timezone: UTC", "timezone goes with cron or align only"),
        ("kind: sense, sense: a, cron: '@daily', timezone: Mars", "unknown time zone 'Mars'"),
        ("kind: sense, sense: a, cron: '@reboot'", "there is no @reboot"),
        ("kind: sense, interval: 1s", "the key `sense` is missing"),
        ("kind: sense, sense: a, interval: 1s, workflow: w", "workflow: unknown key"),
        ("kind: workflow, workflow: w", "the key `on` is missing"),
        ("kind: workflow, workflow: w, on: a, interval: 1s", "interval: unknown key"),
        ("kind: workflow, on: a", "the key `workflow` is missing"),
        ("sense: a, interval: 1s", "the key `kind` is missing"),
        ("kind: other, sense: a", "must be sense or workflow"),
    ],
)  # fmt: skip
def test_a_reflex_has_one_kind_and_one_kind_of_cause(faults, reflex, said):
    """CFG-4"""
    [line] = faults(
        f"senses: {{a: }}\nworkflows: {{w: {{overflow: drop}}}}\nreflexes:\n  - {{{reflex}}}\n"
    )
    assert line.startswith("nerve.yaml:4:")
    assert said in line


def test_a_field_that_is_wrong_beside_another_is_shown_itself(faults):
    """CFG-1"""
    [line] = faults(
        "senses: {a: }\nreflexes:\n  - {kind: sense, sense: a, interval: 1s, jitter: 2s}\n"
    )
    assert line == "nerve.yaml:3:51: reflexes[0].jitter: jitter is longer than the interval"


def test_a_merge_key_is_named_as_what_it_is(faults):
    lines = faults(
        "x: &d {group: host}\nsenses:\n  disk:\n    <<: *d\n  heat: {<<: *d}\n  <<: {net: }\n"
    )
    assert [line.partition(": ")[0] for line in lines if "merge keys" in line] == [
        "nerve.yaml:4:5",
        "nerve.yaml:5:10",
        "nerve.yaml:6:3",
    ]


def test_a_file_without_senses_is_a_warning(load):
    [warning] = load("senses: {}").warnings
    assert str(warning).startswith("nerve.yaml:1:9: senses: no senses are configured")


def test_a_file_that_may_not_be_read_says_where_to_look(monkeypatch, load, faults):
    """CFG-1"""

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    with pytest.raises(ConfigFaults) as caught:
        load_config(Path("nerve.yaml"), environ={})
    assert "owner and mode" in caught.value.faults[0].hint


def test_a_file_that_is_missing_says_how_to_get_one(tmp_path):
    """CFG-1"""
    with pytest.raises(ConfigFaults) as caught:
        load_config(tmp_path / "nerve.yaml", environ={})
    assert "`nerve init`" in caught.value.faults[0].hint


def test_a_workflow_that_queues_has_room_for_a_hundred(load):
    """CFG-5"""
    workflows = load("workflows: {a: {overflow: queue}, b: {overflow: drop}}").config.workflows
    assert workflows["a"].max_queue == 100
    assert not hasattr(workflows["b"], "max_queue")


def test_a_workflow_that_drops_has_no_queue(faults):
    """CFG-5"""
    [line] = faults("workflows: {a: {overflow: drop, max_queue: 3}}")
    assert (
        line
        == "nerve.yaml:1:33: workflows.a.max_queue: overflow: drop has no queue, so there is no max_queue; remove it, or write overflow: queue"
    )


@pytest.mark.parametrize(
    "name", ["A", "a_b", "1a", "-a", "a/b", "..", "a b", "ä", "a\\n", "a" * 65]
)
def test_a_name_that_is_unsafe_in_a_path_is_refused(faults, name):
    """CFG-6"""
    lines = faults(f'senses: {{"{name}": }}')
    assert "a name has lower-case letters" in lines[0] or "is longer than 64" in lines[0]


@pytest.mark.parametrize("text", ["1.0", "true", "'1.5'", "'x'", "[1]", "'-1'", "'٣'"])
def test_a_number_is_not_guessed(faults, text):
    [line] = faults(f"workflows: {{a: {{overflow: queue, max_queue: {text}}}}}")
    assert "max_queue: must be" in line


@pytest.mark.parametrize(
    ("text", "said"), [("~/x", "~ is not expanded here"), ('"a\\0b"', "a path holds no NUL")]
)
def test_a_state_dir_that_would_surprise_is_refused(faults, text, said):
    [line] = faults(f"state_dir: {text}")
    assert said in line


def test_the_state_directory_is_beside_the_file_unless_the_environment_says_otherwise(
    load, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load("state_dir: d").state_dir == tmp_path / "d"
    assert load("state_dir: d", NERVE_STATE_DIR=" ").state_dir == tmp_path / "d"
    assert load("state_dir: d", NERVE_STATE_DIR="e").state_dir == tmp_path / "elsewhere" / "e"
    assert load("state_dir: /d").state_dir == Path("/d")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("state_dir: d\nsenses: {disk: {timeout: soon}}", "d"),
        ("senses: 7", "data"),
        ("state_dir: ${NOPE}", None),
        ("state_dir: 7", None),
        ("}{", None),
    ],
)
def test_the_state_directory_is_known_although_other_parts_are_at_fault(tmp_path, text, found):
    path = tmp_path / "nerve.yaml"
    path.write_text(text)
    assert find_state_dir(path, environ={}) == (found and tmp_path / found)
    assert find_state_dir(path, environ={"NERVE_STATE_DIR": "/d"}) == Path("/d")
    assert find_state_dir(path, environ={}, overrides=["state_dir=e"]) in (None, tmp_path / "e")


def test_without_a_file_the_state_directory_is_known_only_from_the_environment(tmp_path):
    path = tmp_path / "nerve.yaml"
    assert find_state_dir(path, environ={}) is None
    assert find_state_dir(path, environ={"NERVE_STATE_DIR": "/d"}) == Path("/d")


def test_the_file_is_the_one_named_else_that_of_the_environment_else_nerve_yaml():
    cwd = Path("/cwd")
    assert find_config("a.yaml", {"NERVE_CONFIG": "b.yaml"}, cwd) == Path("/cwd/a.yaml")
    assert find_config(None, {"NERVE_CONFIG": "/b.yaml"}, cwd) == Path("/b.yaml")
    assert find_config(None, {"NERVE_CONFIG": ""}, cwd) == Path("/cwd/nerve.yaml")


def test_what_is_found_later_still_has_its_line(load):
    """CFG-1"""
    loaded = load(EXAMPLE)
    path = ("senses", "cpu-usage", "options")
    assert str(loaded.place((*path, "per_core"))) == "nerve.yaml:10:25"
    assert str(loaded.place((*path, "per_core"), at_key=True)) == "nerve.yaml:10:15"
    assert str(loaded.place((*path, "missing", "deep"))) == "nerve.yaml:10:14"
    fault = loaded.fault(Problem((*path, "per_core"), "must be a number"))
    assert str(fault) == "nerve.yaml:10:25: senses.cpu-usage.options.per_core: must be a number"


def test_a_fault_is_written_without_what_it_does_not_have():
    assert str(Fault("nerve.yaml", None, None, "", "is empty")) == "nerve.yaml: is empty"
    assert (
        str(Fault("nerve.yaml", 1, 2, "a", "is wrong", "mend it"))
        == "nerve.yaml:1:2: a: is wrong; mend it"
    )


def test_what_is_loaded_cannot_be_changed(load):
    loaded = load(EXAMPLE)
    with pytest.raises(AttributeError):
        loaded.path = Path()
    with pytest.raises(ValueError):
        loaded.config.senses["heat"].group = "x"


def test_a_configuration_loads_by_a_relative_path(load, tmp_path, monkeypatch):
    load(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("nerve.yaml"), environ={}).state_dir == tmp_path / "data"
