from itertools import pairwise

SENSES = """
senses: {cpu-usage: , load-trend: , heat: , disk: }
workflows: {page-me: {overflow: drop}}
reflexes:
"""


def test_an_unknown_name_in_a_reflex_is_a_fault_with_a_suggestion(faults):
    """CFG-6"""
    text = (
        SENSES
        + """
- {kind: sense, sense: [heat, cpu_usages, xyz], on: cpu-usag}
- {kind: workflow, workflow: pageme, on: [disc]}
"""
    )
    lines = faults(text.replace("cpu_usages", "cpu-usages"))
    assert [line.partition(": ")[2] for line in lines] == [
        "reflexes[0].sense[1]: there is no sense 'cpu-usages'; did you mean \"cpu-usage\"?",
        "reflexes[0].sense[2]: there is no sense 'xyz'",
        "reflexes[0].on: there is no sense 'cpu-usag'; did you mean \"cpu-usage\"?",
        "reflexes[1].workflow: there is no workflow 'pageme'; did you mean \"page-me\"?",
        "reflexes[1].on[0]: there is no sense 'disc'; did you mean \"disk\"?",
    ]


def test_references_are_checked_where_other_parts_are_faulty(faults):
    """CFG-1"""
    lines = faults(
        "senses: {disk: {timeout: 5}}\nreflexes:\n- {kind: x}\n- {kind: sense, sense: disc, interval: 1s}\n"
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "nerve.yaml:1:26",
        "nerve.yaml:3:10",
        "nerve.yaml:4:24",
    ]


def warnings(load, reflexes):
    return [str(w).removeprefix("nerve.yaml:") for w in load(SENSES + reflexes).warnings]


EVERY = "- {kind: sense, sense: [cpu-usage, load-trend, heat, disk], interval: 1s}\n"


def test_a_circle_of_senses_is_a_warning_that_names_it(load):
    """CFG-6"""
    [warning] = warnings(
        load,
        EVERY
        + "- {kind: sense, sense: heat, on: cpu-usage}\n"
        + "- {kind: sense, sense: [disk, load-trend], on: heat}\n"
        + "- {kind: sense, sense: cpu-usage, on: [load-trend]}\n",
    )
    names = warning.partition("circle: ")[2].partition(";")[0].split(" -> ")
    assert names[0] == names[-1]
    assert set(names) == {"cpu-usage", "heat", "load-trend"}
    follows = {("cpu-usage", "heat"), ("heat", "load-trend"), ("load-trend", "cpu-usage")}
    assert set(pairwise(names)) == follows


def test_a_sense_that_triggers_itself_is_a_circle(load):
    [warning] = warnings(load, EVERY + "- {kind: sense, sense: disk, on: disk}\n")
    assert "circle: disk -> disk" in warning
    assert warning.startswith("6:")


def test_two_circles_are_two_warnings(load):
    found = warnings(
        load,
        EVERY + "- {kind: sense, sense: disk, on: disk}\n- {kind: sense, sense: heat, on: heat}\n",
    )
    assert len(found) == 2


def test_a_chain_without_a_circle_is_no_warning(load):
    assert (
        warnings(
            load,
            EVERY
            + "- {kind: sense, sense: [heat, disk], on: cpu-usage}\n- {kind: sense, sense: disk, on: heat}\n",
        )
        == []
    )


def test_a_sense_that_nothing_triggers_is_a_warning_at_its_name(load):
    [warning] = warnings(
        load, "- {kind: sense, sense: [cpu-usage, load-trend, heat], interval: 1s}"
    )
    assert warning.startswith("2:45: senses.disk: no reflex triggers this sense")


def test_a_reflex_that_runs_a_workflow_is_a_warning_for_none_does(load):
    [warning] = warnings(
        load,
        "- {kind: sense, sense: [cpu-usage, load-trend, heat, disk], interval: 1s}\n- {kind: workflow, workflow: page-me, on: disk}",
    )
    assert "reflexes[1].workflow: workflows do not run in this version" in warning


def test_limits_of_a_group_that_no_sense_belongs_to_are_a_fault_with_a_suggestion(faults):
    """CFG-6"""
    lines = faults("""
senses: {disk: {group: system}, heat: }
groups:
  system: {nice: 5}
  sytem: {nice: 5}
  default:
  web: {memory: 512}
""")
    assert lines == [
        "nerve.yaml:5:3: groups.sytem: no sense belongs to the group 'sytem'; did you mean \"system\"?",
        "nerve.yaml:7:3: groups.web: no sense belongs to the group 'web'",
        "nerve.yaml:7:17: groups.web.memory: a size needs a unit: write 64MB, 512MB or 2GB, not 512",
    ]


def test_a_group_is_told_one_thing_at_a_time(faults):
    """CFG-1"""
    assert len(faults("senses: {disk: }\ngroups: {Sys_Tem: }\n")) == 1
    assert len(faults("senses: 3\ngroups: {system: }\n")) == 1
    assert len(faults("senses: {disk: {group: 3}}\ngroups: 4\n")) == 2


def test_two_reflexes_with_one_cursor_are_a_fault(faults):
    """SIG-7: a cursor would not know which of them it stands for."""
    text = (
        SENSES
        + """
- {kind: sense, sense: heat, on: [disk, cpu-usage]}
- {kind: sense, sense: [heat, disk], on: cpu-usage}
- {kind: sense, sense: heat, cron: "0 6 * * *", missed: all}
- {kind: sense, sense: heat, cron: "0 6 * * *", missed: once}
- {kind: sense, sense: heat, cron: "0 6 * * *"}
"""
    )
    assert [line.partition(": ")[2] for line in faults(text)] == [
        "reflexes[1].on: signals of 'cpu-usage' run 'heat' already, by reflexes[0]; make one reflex of the two",
        "reflexes[3].missed: the same times, with a position of their own, run 'heat' already, by reflexes[2]; make one reflex of the two",
    ]
