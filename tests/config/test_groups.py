import pytest

from nerve.config import GroupConfig

FAULTY = """
senses: {disk: {group: system}}
groups:
  system: {memory: 63MB, open_files: 63, processes: -1, nice: 20, output_lines_per_second: 0}
"""


def test_a_group_that_is_not_mentioned_has_the_defaults(load):
    """CFG-3"""
    config = load("senses: {disk: {group: system}, heat: }\ngroups: {system: {nice: 3}}").config
    assert config.group("default") == GroupConfig()
    assert config.group("system") == GroupConfig(nice=3)
    defaults = GroupConfig()
    assert (defaults.memory_bytes, defaults.open_files, defaults.processes) == (2**30, 1_024, 128)
    assert (defaults.nice, defaults.output_lines_per_second) == (10, 50)


@pytest.mark.parametrize(
    "text", ["groups:", "groups: {default: }", "groups: {default: {memory: }}"]
)
def test_what_is_left_blank_is_not_given(load, text):
    """CFG-3"""
    assert load(f"senses: {{disk: }}\n{text}").config.group("default") == GroupConfig()


def test_each_limit_has_bounds_and_says_them(faults):
    """CFG-1"""
    assert [line.partition("groups.system.")[2] for line in faults(FAULTY)] == [
        "memory: must be at least 64 MB: a worker needs most of that itself",
        "open_files: must be at least 64",
        "processes: must be at least 0",
        "nice: must be at most 19",
        "output_lines_per_second: must be at least 1",
    ]


@pytest.mark.parametrize("value", ["true", "3.0", "five"])
def test_a_count_is_a_whole_number(faults, value):
    """CFG-2"""
    [line] = faults(f"senses: {{disk: }}\ngroups: {{default: {{processes: {value}}}}}")
    assert line.endswith("groups.default.processes: must be a whole number")


def test_an_unknown_key_of_a_group_is_a_fault_with_a_suggestion(faults):
    """CFG-1"""
    [line] = faults("senses: {disk: }\ngroups: {default: {memry: 1GB}}")
    assert line.endswith('groups.default.memry: unknown key; did you mean "memory"?')


def test_a_limit_may_come_from_the_environment_and_from_the_command_line(load):
    text = 'senses: {disk: }\ngroups: {default: {memory: "${MEM}", nice: "${NICE}"}}'
    config = load(text, "groups.default.processes=7", MEM="128MB", NICE="4").config
    limits = config.group("default")
    assert (limits.memory_bytes, limits.nice, limits.processes) == (128 * 2**20, 4, 7)


def test_limits_are_shown_as_they_are_written_and_read_back(load):
    """CFG-9"""
    loaded = load("senses: {disk: }\ngroups: {default: {memory: 1536MB, nice: 3}}")
    shown = loaded.shown["groups"]["default"]
    assert (shown["memory"], shown["nice"]) == ("1536MB", 3)
    assert GroupConfig.model_validate(shown) == loaded.config.group("default")
