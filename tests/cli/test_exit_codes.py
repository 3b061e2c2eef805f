"""docs/exit-codes.md names the exit codes that there are, and those alone."""

import re

import pytest

from nerve import errors
from nerve.cli.unit import HOPELESS
from nerve.errors import Exit

ROW = re.compile(r"^\| (\d+) \| `(\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


@pytest.fixture
def page(checkout):
    return (checkout / "docs/exit-codes.md").read_text()


def test_the_page_has_each_code_with_its_cause_and_what_to_do(page):
    rows = ROW.findall(page)
    assert {name: int(code) for code, name, _, _ in rows} == {e.name: e.value for e in Exit}
    assert len(rows) == len(Exit)
    assert [int(code) for code, *_ in rows] == sorted(Exit)
    assert all(cause.strip() and what.strip() for _, _, cause, what in rows)


def test_where_a_restart_does_not_help_the_unit_makes_none(page):
    hopeless = {int(code) for code, _, _, what in ROW.findall(page) if "not help" in what}
    assert hopeless == set(HOPELESS) - {Exit.USAGE}
    (told,) = re.findall(r"restarts after all but ([\d, and]+) ", page)
    assert {int(code) for code in re.findall(r"\d+", told)} == {Exit.OK, *HOPELESS}


def test_each_error_ends_in_one_of_them():
    classes = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(classes) > 15
    for error in classes:
        assert getattr(error, "exit_code", Exit.FOUND) in set(Exit)
