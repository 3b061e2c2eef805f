"""The tutorial does what it says, command by command."""

import pytest

from tests.docs.references import ROOT
from tests.docs.walk import Step, Walk, steps_of

PAGE = ROOT / "docs/write-a-sense.md"


@pytest.fixture
def walk(tmp_path):
    with Walk(tmp_path) as walk:
        yield walk


@pytest.mark.timeout(300)  # some twenty processes, one after the other
def test_the_tutorial_works_from_an_empty_folder_to_a_running_sense(walk):
    walk.through(PAGE.read_text())


def console(*lines, before="", rest=""):
    return f"{before}```console{rest}\n" + "\n".join(lines) + "\n```\n"


def test_a_page_is_taken_apart_into_files_and_commands():
    text = "```text notes/a.txt\nhello\n```\n" + console(
        "$ cat notes/a.txt", "hello", "$ true", before="<!-- another each time: hello, x -->\n"
    )
    file, first, second = steps_of(text)
    assert file == ("notes/a.txt", "hello\n")
    assert first == Step("cat notes/a.txt", ["hello"], ["hello", "x"])
    assert second == Step("true", [], ["hello", "x"])


def test_files_are_written_and_a_change_of_folder_lasts(walk):
    walk.through(
        console("$ mkdir sub", "$ cd sub")
        + "```text a.txt\nhello\n```\n"
        + console("$ cat ../sub/a.txt", "hello")
    )
    assert walk.folder.name == "sub"


@pytest.mark.parametrize(
    ("shown", "said", "is_same"),
    [
        (["one", "two"], "one\ntwo\n", True),
        (["one", "..."], "one\ntwo\nthree\n", True),
        (["...", "three"], "one\ntwo\nthree\n", True),
        (["one"], "one\ntwo\n", False),
        (["1.5 s"], "1x5 s\n", False),
        (["took 4711 s"], "took 3 s\n", True),
        (["took 4711 s"], "took s\n", False),
        (["4711   a"], "12345 a\n", True),
    ],
)
def test_what_is_shown_is_compared_but_for_what_is_named(shown, said, is_same):
    step = Step("x", shown, ["4711"])
    assert bool(step.expected().fullmatch(said)) == is_same


@pytest.mark.parametrize(
    "text",
    [
        console("$ false"),
        console("$ echo two", "one"),
        console("$ true", before="<!-- exit code: 1 -->\n"),
        console("$ sh -c 'echo up; exit 3'", "up", rest=" first terminal"),
    ],
)
def test_what_goes_otherwise_than_the_page_says_is_found_out(walk, text):
    with pytest.raises(AssertionError):
        walk.through(text)


def test_a_command_that_goes_on_is_waited_for_at_the_end(walk):
    walk.through(
        console("$ mkfifo pipe")
        + console("$ echo up; read line < pipe; echo $line > end", "up", rest=" first terminal")
        + console("$ echo go > pipe")
    )
    assert (walk.folder / "end").read_text() == "go\n"
