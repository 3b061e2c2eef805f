"""The fixtures, as pytest finds them in somebody else's project."""

import subprocess
import sys

import pytest

COUNTING = "def compute(db, peers, ctx): return {'n': 1}\n"


@pytest.fixture
def run(project):
    """Run pytest in the project, on one file of tests."""

    def run(*tests, folder="tests"):
        file = project.root / folder / "test_it.py"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(tests))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
            cwd=project.root, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_the_fixtures_are_there_of_themselves_and_find_the_project_of_the_test(project, run):
    project.sense("counting", COUNTING)
    done = run(
        "def test_here(sense): assert sense('counting')().payload == {'n': 1}",
        "def test_there(sense_in_worker): assert sense_in_worker('counting')().payload == {'n': 1}",
        "def test_all(check_migrations): check_migrations('counting')",
        folder="deep/down/tests",
    )
    assert done.returncode == 0, done.stdout


def test_a_failed_compute_is_shown_by_the_authors_lines_and_none_of_nerves(project, run):
    project.sense("counting", "def compute(db, peers, ctx):\n    return 1 / 0\n")
    done = run("def test_it(sense):\n    assert sense('counting')().payload == 1\n")
    assert done.returncode == 1
    assert 'E         File "senses/counting/__init__.py", line 2, in compute' in done.stdout
    assert "return 1 / 0" in done.stdout
    assert "nerve/testing" not in done.stdout
    assert "nerve/worker" not in done.stdout


def test_a_sense_that_cannot_be_loaded_is_shown_by_the_authors_lines_too(project, run):
    """BOOT-3"""
    project.sense("counting", "import no_such_library\n" + COUNTING)
    done = run("def test_it(sense):\n    sense('counting')\n")
    assert (
        "importing it raised ModuleNotFoundError: No module named 'no_such_library'" in done.stdout
    )
    assert 'E         File "senses/counting/__init__.py", line 1, in <module>' in done.stdout
    assert "nerve/worker" not in done.stdout


def test_fixtures_of_the_same_name_in_a_project_are_its_own(project, run):
    done = run(
        "import pytest",
        "@pytest.fixture\ndef sense(): return 'mine'",
        "def test_it(sense): assert sense == 'mine'",
    )
    assert done.returncode == 0, done.stdout


def test_without_a_nerve_yaml_it_says_what_to_name(project, run):
    (project.root / "nerve.yaml").unlink()
    done = run("def test_it(sense): sense('counting')")
    assert "there is no nerve.yaml in" in done.stdout
    assert "sense(..., project=PATH)" in done.stdout
