"""`nerve top`: what costs most, from made-up samples and on a terminal."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from nerve.cli.sheet import Sheet, plain
from nerve.cli.status.recorded import Ran, Recorded
from nerve.cli.top.sample import Sample, Usage, group_costs, sample, sense_costs
from nerve.cli.top.tables import KEYS, lines_of, objects_of
from nerve.cli.wording import cells
from nerve.clock import US_PER_S
from tests.cli.test_status import NOW_US, crowd, group, picture, sense
from tests.cli.watched import ENTER, watching

LATER_S = 10


def two_samples(earlier, later, *, usages=({}, {})):
    first = picture(*earlier)
    second = replace(picture(*later), now_us=NOW_US + LATER_S * US_PER_S)
    return Sample(0.0, first, usages[0]), Sample(LATER_S, second, usages[1])


def test_cpu_is_that_of_a_worker_and_all_below_it_since_the_look_before():
    usages = {"host": Usage(7, 3.0, 100, 2)}, {"host": Usage(7, 8.0, 200, 3)}
    (cost,) = group_costs(*two_samples([], [], usages=usages))
    assert (cost.cpu, cost.memory_bytes, cost.processes) == (50.0, 200, 3)


def test_a_worker_that_is_another_one_begins_anew():
    usages = {"host": Usage(7, 30.0)}, {"host": Usage(8, 1.0)}
    (cost,) = group_costs(*two_samples([], [], usages=usages))
    assert cost.cpu == 0.0


def test_a_sense_costs_the_time_that_it_computed_what_it_does_now_included():
    before = sense(runs=10, busy_us=2 * US_PER_S)
    now = sense(
        runs=15,
        busy_us=4 * US_PER_S,
        phase="running",
        started_us=NOW_US + (LATER_S - 1) * US_PER_S,
        took_us=400_000,
        worst_late_us=3_000,
    )
    (cost,) = sense_costs(*two_samples([before], [now]))
    assert (cost.busy, cost.per_minute) == (30.0, 30.0)
    assert (cost.took_us, cost.late_us) == (400_000, 3_000)


def test_without_a_look_before_a_sense_is_told_since_nerve_has_run():
    now = Sample(0.0, picture(sense(runs=90, busy_us=9 * US_PER_S)), {})
    (cost,) = sense_costs(None, now)
    assert (cost.busy, cost.per_minute) == (1.0, 6.0)


def test_so_it_is_where_another_nerve_was_looked_at_before():
    before, now = two_samples([sense(runs=90)], [sense(runs=1)])
    other = before.picture.nerve.model_copy(update={"boot": "another"})
    before = replace(before, picture=replace(before.picture, nerve=other))
    (cost,) = sense_costs(before, now)
    assert cost.per_minute == pytest.approx(60 / 910)


def test_a_process_is_looked_at_with_all_below_it():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = picture(groups=(group(pid=os.getpid()),))
    usage = sample(own).usages["host"]
    child.communicate()
    assert usage.pid == os.getpid()
    assert usage.cpu_s > 0
    assert usage.memory_bytes > 10_000_000
    assert usage.processes >= 2


def test_a_process_that_is_gone_costs_nothing():
    child = subprocess.Popen(["true"])
    child.wait()
    assert sample(picture(groups=(group(pid=child.pid),))).usages["host"].memory_bytes == 0


@pytest.mark.parametrize(
    ("key", "first"), [("b", "busy"), ("r", "often"), ("t", "long"), ("l", "tardy"), ("n", "a")]
)
def test_what_costs_most_stands_first_by_a_key(key, first):
    senses = [
        sense("a"),
        sense("busy", busy_us=9 * US_PER_S),
        sense("often", runs=99),
        sense("long", took_us=9),
        sense("tardy", worst_late_us=9),
    ]
    lines = lines_of(None, Sample(0.0, picture(*senses), {}), key, Sheet(80, None, plain))
    heading = next(n for n, line in enumerate(lines) if line.startswith("sense "))
    assert lines[heading + 1].startswith(f"{first} ")


def test_failures_are_those_that_are_recorded():
    found = picture(sense("a"), sense("b"), files=Recorded(ran={"b": Ran("error", 1, 9, 7)}))
    lines = lines_of(None, Sample(0.0, found, {}), "f", Sheet(80, None, plain))
    assert lines[-2].split() == ["b", "host", "0.0", "0.0", "-", "<1ms", "7"]


@pytest.mark.parametrize("width", [20, 80, 140])
def test_thousands_of_senses_are_one_screen(width):
    """CTL-3"""
    found = crowd(5_000)
    usages = {one.name: Usage(None) for one in found.groups}
    lines = lines_of(None, Sample(0.0, found, usages), "b", Sheet(width, 24, plain), KEYS)
    assert len(lines) <= 24
    assert max(map(cells, lines)) <= width
    assert lines[-1].startswith("and 4,9")


def test_json_has_groups_nerve_and_senses():
    """CTL-3"""
    usages = {"": Usage(1, 1.0, 5, 1), "host": Usage(7, 8.0, 200, 3)}
    timed = picture(sense(took_us=400_000, worst_late_us=3_500))
    said = objects_of(None, Sample(0.0, timed, usages))
    assert [one["kind"] for one in said] == ["group", "nerve", "sense"]
    assert (said[-1]["took_ms"], said[-1]["late_ms"]) == (400.0, 3.5)


def test_without_a_terminal_it_is_one_plain_table(running):
    done = running.process("top")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "calm" in done.stdout
    assert "(nerve itself)" in done.stdout


def test_without_a_nerve_it_says_so(project):
    """CTL-2"""
    done = project.nerve("top")
    assert done.exit_code == 69
    assert "hint: start it with: nerve run" in done.stderr


def test_keys_sort_and_q_ends_it_with_the_terminal_as_it_was(running):
    with watching(running, "top") as watched:
        watched.until(ENTER)
        watched.until("calm")
        os.write(watched.ours, b"n")
        watched.until("calm")
        os.write(watched.ours, b"q")
        watched.ends(0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_the_terminal_is_as_it_was_when_it_is_ended(project, number, code):
    with watching(project, "top") as watched:
        watched.until("nerve does not run")
        watched.process.send_signal(number)
        watched.ends(code)


def test_an_error_leaves_the_terminal_as_it_was(project):
    broken = (
        "import nerve.cli.top.command as c\nc.lines_of = 1\nfrom nerve.cli import main\nmain()\n"
    )
    project.write("broken.py", broken)
    with watching(project, "top", program=["broken.py"]) as watched:
        watched.ends(70)
