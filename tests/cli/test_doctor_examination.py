"""Steps that fail, die or hang, each in a helper process that is really forked."""

import json
import subprocess
import sys
import textwrap

import pytest

from nerve.process.tree import wait_for_end

PRELUDE = """
import ctypes, json, os, sys, time
from nerve.cli.doctor.examination import Step, examine
from nerve.cli.doctor.finding import LookedInVain, error, note, sound
from nerve.errors import NerveError

class Patient:
    place = "/srv/data"

def fine(_patient):
    yield sound("fine")

def nothing(_patient):
    yield sound("not there yet")
    raise LookedInVain

def hang(_patient):
    yield note("before")
    time.sleep(600)

def compute(_patient):
    end = time.process_time() + 1
    while time.process_time() < end:
        pass
    yield sound("done")

def die(_patient):
    os.kill(os.getpid(), 11)
    yield

def refuse(_patient):
    raise NerveError("refused", hint="do this")
    yield

def err(_patient):
    raise LookupError("oops")
    yield

"""
SHOW = """
waited = []
found = [
    (step.name, finding.severity, finding.message)
    for step, finding in examine(steps, lambda vain: Patient(), waiting=waited.append)
]
print(json.dumps(found))
"""


@pytest.fixture
def examined():
    """Run steps in a process of their own; return (step, severity, message) of each finding."""

    def run(steps, more=""):
        code = PRELUDE + f"steps = [{steps}]\n" + textwrap.dedent(more) + SHOW
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        )
        return [tuple(finding) for finding in json.loads(done.stdout)]

    return run


FINE = 'Step("fine", fine)'


def test_each_step_is_told_in_its_order(examined):
    assert examined(f'{FINE}, Step("more", fine)') == [
        ("fine", "ok", "fine"),
        ("more", "ok", "fine"),
    ]


def test_a_step_that_hangs_is_told_with_what_it_looked_at_and_the_next_one_runs(examined):
    found = examined(f'Step("s", hang, timeout_s=0.3), {FINE}')
    assert found == [
        ("s", "note", "before"),
        ("s", "error", "the state directory /srv/data did not answer within 0 s"),
        ("fine", "ok", "fine"),
    ]


def test_a_step_that_only_lacks_the_processor_is_waited_for(examined):
    assert examined('Step("s", compute, timeout_s=0.1)') == [("s", "ok", "done")]


def test_a_step_that_kills_its_process_is_told_with_the_signal(examined):
    told, fine = examined(f'Step("s", die, what="the file"), {FINE}')
    assert told[:2] == ("s", "error")
    assert told[2] == "looking at the file ended the process that did so: signal 11 (SIGSEGV)"
    assert fine == ("fine", "ok", "fine")


@pytest.mark.parametrize(
    ("look", "message"),
    [("refuse", "refused"), ("err", "an error of nerve itself: LookupError: oops")],
)
def test_what_a_step_raises_is_its_finding_and_ends_those_that_need_it(examined, look, message):
    steps = f'Step("s", {look}), Step("t", fine, needs=("s",)), Step("u", fine, needs=("t",))'
    assert examined(f"{steps}, {FINE}") == [
        ("s", "error", message),
        ("t", "skipped", "s"),
        ("u", "skipped", "s"),
        ("fine", "ok", "fine"),
    ]


def test_a_step_that_hung_ends_those_that_need_it_in_the_next_helper(examined):
    steps = 'Step("s", hang, timeout_s=0.3), Step("t", fine, needs=("s",))'
    assert examined(steps)[-1] == ("t", "skipped", "s")


def test_a_helper_ends_with_the_command_that_was_killed():
    """RUN-10"""
    code = (
        PRELUDE
        + """
def tell(_patient):
    yield sound(str(os.getpid()))
    time.sleep(600)

for _, finding in examine([Step("s", tell, timeout_s=600)], lambda vain: Patient()):
    print(finding.message, flush=True)
"""
    )
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    helper = int(command.stdout.readline())
    command.kill()
    command.communicate(timeout=30)
    assert wait_for_end([helper], 30)
