"""Code that runs, laid side by side before it is shared with workers."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal
from nerve.process import gathering

made = {{}}
for number in range(300):  # each with ten that do not run behind it
    for name in (f"f{{number}}", *(f"cold{{number}}_{{n}}" for n in range(10))):
        source = f"def {{name}}(x):\\n    return sum(y + {{number}} for y in (x, x))\\n"
        exec(source, made)
functions = [made[f"f{{number}}"] for number in range(300)]

def life():
    for function in functions:
        function(1)
    made["lived"] = True
    {end}

def pages():
    inner = [c for f in functions for c in f.__code__.co_consts if type(c) is type(f.__code__)]
    return len({{id(code) >> 12 for code in [*inner, *(f.__code__ for f in functions)]}})

before = pages()
gathered = gathering.gather(life)
right = all(f(3) == 6 + 2 * n and f.__code__.co_name == f"f{{n}}" for n, f in enumerate(functions))
print(before, pages(), gathered, right, "lived" in made)
"""


def told(end):
    program = PROGRAM.format(end=end)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    before, after, gathered, right, lived = ran.stdout.split()
    return int(before), int(after), int(gathered), right == "True", lived == "True"


def test_functions_that_run_are_gathered_and_do_what_they_did():
    before, after, gathered, right, lived = told("pass")
    assert gathered >= 300
    assert after < before / 2
    assert right
    assert not lived  # but in a child


@pytest.mark.parametrize("end", ["raise OSError", "os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_child_that_fails_gathers_nothing_and_harms_nobody(end):
    before, after, gathered, right, _ = told(end)
    assert (after, gathered, right) == (before, 0, True)
