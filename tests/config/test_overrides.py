import pytest

TEXT = """
senses: {disk: {group: a}, heat: }
reflexes: [{kind: sense, sense: disk, interval: 10s}]
"""


def test_a_value_from_the_command_line_wins(load):
    config = load(
        TEXT, "senses.disk.group=b", "senses.disk.group=c", "reflexes.0.interval=1s"
    ).config
    assert config.senses["disk"].group == "c"
    assert config.reflexes[0].interval_ms == 1_000


def test_an_index_may_be_written_as_faults_write_it(load, faults):
    config = load(TEXT, "reflexes[0].interval=1s", "reflexes[0].on=").config
    assert config.reflexes[0].interval_ms == 1_000
    [line] = faults(TEXT, "reflexes[0].interval=5x")
    assert line.startswith("--set reflexes[0].interval: not a duration")


def test_mappings_on_the_way_are_made(load):
    config = load(TEXT, "senses.net.options.a.b=1", "senses.heat.timeout=9s").config
    assert config.senses["net"].options == {"a": {"b": 1}}
    assert config.senses["heat"].timeout_ms == 9_000


@pytest.mark.parametrize(
    ("text", "value"),
    [("on", "on"), ("1", 1), ("'1'", "1"), ("[a, 1]", ["a", 1]), ("{a: 1}", {"a": 1}), ("null", None), ("a=b", "a=b"), ("https://x:1/y", "https://x:1/y"), ("${A}", "one")],
)  # fmt: skip
def test_a_value_is_read_by_the_rules_of_the_file(load, text, value):
    assert load(TEXT, f"senses.disk.options.x={text}", A="one").config.senses["disk"].options == {
        "x": value
    }


def test_an_empty_value_takes_the_files_away(load):
    assert load(TEXT, "senses.disk.group=").config.senses["disk"].group == "default"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("senses", "--set senses: not of the form path=value; write --set"),
        ("=1", "--set : not of the form path=value"),
        ("a..b=1", "--set a..b: not of the form path=value"),
        ("a." * 64 + "b=1", "--set a.a."),
        ("reflexes.1.interval=1s", "--set reflexes.1.interval: there is no [1] in a list of 1"),
        ("reflexes.-1.interval=1s", "--set reflexes.-1.interval: '-1' is no index of a list of 1"),
        ("reflexes.\u0660.interval=1s", "--set reflexes.\u0660.interval: '\u0660' is no index"),
        ("senses.disk.group.x=1", "--set senses.disk.group.x: there is no 'x' in what is neither"),
        ("senses.disk.timeout=5x", "--set senses.disk.timeout: not a duration: '5x'"),
        ("senses.disk.timeot=5x", '--set senses.disk.timeot: unknown key; did you mean "timeout"?'),
        ("senses.disk.options=[", "--set senses.disk.options: not valid YAML"),
        ("senses.disk.options={a: 1, a: 2}", "--set senses.disk.options: the key 'a' stands here twice"),
        ("senses.disk.group=\udcff", "--set senses.disk.group: the value is not UTF-8"),
        ("reflexes.0.sense=disc", "--set reflexes.0.sense: reflexes[0].sense: there is no sense 'disc'"),
    ],
)  # fmt: skip
def test_a_fault_stands_at_the_argument(faults, override, said):
    """CFG-1"""
    assert faults(TEXT, override)[0].startswith(said)


def test_the_file_comes_before_the_command_line(faults):
    lines = faults("senses: {disk: {timeout: 1}}", "senses.disk.throttle=1")
    assert [line.partition(" ")[0] for line in lines] == ["nerve.yaml:1:26:", "--set"]
