"""Sections in processes of their own, and a whole run that is as short as can be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = """
import os, signal
from benchmarks.figures import Extent, Figure, Lacking, Note

def good(folder, extent):
    (folder / "file").touch()
    return [Figure("what", "floor", "us", [float(extent is Extent.LEAST)], [1.0])]

def lacking(folder, extent):
    raise Lacking("a second processor")

def failing(folder, extent):
    raise ValueError("seven")

def dying(folder, extent):
    if os.fork() == 0:
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
"""
RUN = """
import sys
from pathlib import Path
from benchmarks import bench
from benchmarks.figures import Extent
from benchmarks.report import as_json
from nerve.process.tree import descendants
import os

names = sys.argv[1:]
bench.SECTIONS = {name: f"made:{name}" for name in names}
machine, findings = bench.measure(names, Extent.LEAST)
print(as_json({"left": descendants(os.getpid())}, findings))
"""


def run(folder, *command):
    """Run Python with the checkout and `folder` on its path; what it prints, from JSON."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def made(tmp_path):
    (tmp_path / "made.py").write_text(SECTIONS)
    return tmp_path


def test_a_section_that_fails_says_so_and_takes_no_other_with_it(made):
    found = run(made, "-c", RUN, "missing", "failing", "lacking", "dying", "good")
    words = {note["section"]: note["words"] for note in found["notes"]}
    assert list(words) == ["missing", "failing", "lacking", "dying"]
    assert "has no attribute" in words["missing"]
    assert words["failing"] == "failed: ValueError('seven')"
    assert words["lacking"] == "left out: a second processor"
    assert words["dying"] == "failed: its process ended with -9"
    (figure,) = found["figures"]
    assert (figure["section"], figure["values"]) == ("good", [1.0])


def test_what_a_section_leaves_behind_is_ended_and_removed(made):
    assert run(made, "-c", RUN, "dying")["machine"] == {"left": []}
    assert [path.name for path in made.iterdir() if path.name.startswith(".bench")] == []


def test_dispatch_gives_figures_of_nerve_beside_the_floor(tmp_path):
    words = ("--extent", "least", "--only", "dispatch", "--json")
    found = run(tmp_path, "-m", "benchmarks.bench", *words)
    assert [note for note in found["notes"] if "failed" in note["words"]] == []
    of = {(f["what"], f["beside"]): f["value"]["median"] for f in found["figures"]}
    whats = [what for what, beside in of if beside == "floor"]
    assert {"FULL, 1 worker, p50", "default, 2 workers, grouped", "2 workers, PSS of one"} <= set(
        whats
    )
    assert min(of.values()) > 0
    assert found["machine"]["placement"] in {"apart", "together"}
