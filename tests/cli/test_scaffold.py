import errno
import subprocess
import sys
from pathlib import Path

import pytest

from nerve.config.values import MAX_NAME_CHARS


@pytest.fixture
def begun(project):
    """A project as `nerve init` writes it, with a sense as `nerve new sense` writes it."""
    project.config.unlink()
    assert project.here("init").returncode == 0
    made = project.here("new", "sense", "load-watch", "--add")
    assert made.returncode == 0
    assert "nerve.yaml has it now: load-watch: {}, and a reflex every 10s" in made.stderr
    return project


def test_what_is_written_passes_check_and_test(begun, json_lines):
    checked = begun.here("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "nerve.yaml: 4 senses in 3 groups, 3 reflexes: ok\n"
    tested = begun.here("test", "load-watch", "--times", "2", "--json")
    first, _, remains = json_lines(tested.stdout)
    assert tested.returncode == 0
    assert first["outcome"] == "signal"
    assert remains["rows"] == {"readings": 2}
    assert begun.here("db", "check", "load-watch").returncode == 0


def test_the_tests_that_are_written_pass_at_once(begun):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=begun.folder, env=begun.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_without_add_the_two_lines_are_shown_and_nerve_yaml_is_left(project):
    before = project.config.read_text()
    done = project.here("new", "sense", "load-watch")
    assert "under senses:    load-watch: {}" in done.stderr
    assert "under reflexes:  - {kind: sense, sense: load-watch, interval: 10s}" in done.stderr
    assert "next: pytest; nerve test load-watch; nerve check; nerve run" in done.stderr
    assert done.stdout.splitlines()[0] == "senses/load_watch/__init__.py"
    assert project.config.read_text() == before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("senses: {disk: {}}\n", "no plain place"),
        ("senses:\n  disk: {tiemout: 1s}\n", "faults of its own"),
        ("senses:\n\tdisk: {}\n", "cannot be read"),
    ],
)
def test_where_there_is_no_plain_place_for_two_lines_they_are_shown(project, text, why):
    project.config.write_text(text)
    done = project.here("new", "sense", "load-watch", "--add")
    assert done.returncode == 0
    assert "nerve.yaml was left as it is: it" in done.stderr
    assert why in done.stderr
    assert "under senses:    load-watch: {}" in done.stderr
    assert project.config.read_text() == text
    assert sorted(path.name for path in project.folder.iterdir()) == [
        "nerve.yaml",
        "senses",
        "tests",
    ]


@pytest.mark.parametrize(
    ("written", "hint"),
    [("git_watch", 'did you mean "git-watch"? small'), ("7", "hint: small letters")],
)
def test_what_is_no_name_is_refused_with_the_one_that_was_meant(project, written, hint):
    done = project.here("new", "sense", written)
    assert done.returncode == 2
    assert hint in done.stderr
    assert not (project.folder / "senses").exists()


def test_init_writes_into_a_new_folder_and_lists_what_it_wrote(project):
    done = project.here("init", "deep/down")
    folder = project.folder / "deep/down"
    assert done.stdout.splitlines() == ["deep/down/nerve.yaml", "deep/down/.gitignore"]
    assert (folder / "senses").is_dir()
    assert (folder / ".gitignore").read_text() == "data/\n"
    assert "cd deep/down; nerve check" in done.stderr


def test_init_overwrites_nothing_and_names_the_file(project):
    before = project.config.read_text()
    done = project.here("init")
    assert done.returncode == 73
    assert "nerve.yaml is there already" in done.stderr
    assert project.config.read_text() == before
    assert not (project.folder / ".gitignore").exists()


def test_init_leaves_a_gitignore_as_it_is_and_says_so(project):
    project.config.unlink()
    project.write(".gitignore", "*.pyc\n")
    done = project.here("init")
    assert done.returncode == 0
    assert "data/" in done.stderr
    assert (project.folder / ".gitignore").read_text() == "*.pyc\n"


def test_a_new_sense_overwrites_nothing(project):
    file = project.sense("load-watch", "mine = True\n")
    done = project.nerve("new", "sense", "load-watch")
    assert done.exit_code == 73
    assert "load_watch is there already" in done.stderr
    assert file.read_text() == "mine = True\n"


@pytest.mark.parametrize("name", ["Load", "../up", "load_watch", "9lives", "a" * 65, "a\n"])
def test_a_name_that_is_none_is_a_usage_error(project, name):
    """CFG-6"""
    done = project.nerve("new", "sense", name)
    assert done.exit_code == 2
    assert f"at most {MAX_NAME_CHARS}" in done.stderr
    assert not (project.folder / "senses").exists()


def test_a_new_sense_needs_a_project(project):
    project.config.unlink()
    done = project.nerve("new", "sense", "load-watch")
    assert done.exit_code == 78
    assert "nerve init" in done.stderr


def test_a_new_sense_that_is_not_configured_yet_is_pointed_out(project):
    project.nerve("new", "sense", "load-watch")
    done = project.nerve("test", "load-watch")
    assert done.exit_code == 2
    assert "senses/load_watch is there; add `load-watch: {}` under senses:" in done.stderr


def test_a_new_sense_in_place_of_an_installed_one_says_so(project):
    done = project.nerve("new", "sense", "cpu-usage")
    assert "in place of the sense cpu-usage that is installed" in done.stderr
    assert "nerve.yaml has it already" in done.stderr
    assert "under senses" not in done.stderr


def test_a_folder_that_may_not_be_looked_into_is_77(project, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)  # root may look everywhere
    done = project.nerve("init", str(project.folder / "x"))
    assert done.exit_code == 77
    assert "cannot write" in done.stderr
