import json

import pytest

from benchmarks.figures import Figure, Note
from benchmarks.report import as_json, as_markdown, as_text

MACHINE = {"nerve": "0.1.0 at abc", "processors": 2}
LONGEST = "ProcessPoolExecutor forkserver"


def figure(who="nerve", what="FULL, 1 worker, p50", section="dispatch"):
    return Figure(what, "floor", "us", [300.0, 320.0], [170.0, 172.0], who=who, section=section)


@pytest.fixture
def findings():
    return [
        figure(),
        figure(LONGEST),
        figure(what="default, 8 workers, grouped"),
        Note("Celery", "left out, not installed", section="dispatch"),
        Note("Celery", "left out, not installed", section="dispatch"),
        Note("start", "failed: OSError()", section="start"),
        Figure("idle", "nothing", "%", [0.4], [], section="at rest"),
    ]


def test_what_is_said_once_is_not_said_again(findings):
    rows = as_text(MACHINE, findings).splitlines()
    (first,) = [row for row in rows if row.startswith("FULL, 1 worker, p50")]
    (second,) = [row for row in rows if LONGEST in row]
    assert first.split()[-3:] == ["1.81", "[1.79,", "1.84]"]
    assert second.startswith(" " * first.index("nerve"))


def test_a_table_fits_into_120_columns(findings):
    rows = as_text({}, findings).splitlines()
    assert max(map(len, rows)) <= 120


def test_each_section_has_its_figures_and_its_notes_once(findings):
    text = as_text(MACHINE, findings)
    assert text.count("Celery: left out, not installed") == 1
    dispatch, start, rest = text.split("\n\n")[1:]
    assert dispatch.startswith("dispatch\n")
    assert start == "start\nstart: failed: OSError()"
    assert rest.splitlines()[-1].split() == ["idle", "nothing", "nerve", "0.40", "%"]


def test_json_has_the_machine_the_figures_and_the_notes(findings):
    found = json.loads(as_json(MACHINE, findings))
    assert found["machine"] == MACHINE
    assert [one["section"] for one in found["figures"]] == [*["dispatch"] * 3, "at rest"]
    assert found["notes"][-1] == {"who": "start", "words": "failed: OSError()", "section": "start"}


def test_markdown_has_the_spreads_of_absolute_values_and_the_blocks(findings):
    text = as_markdown(MACHINE, findings)
    row = "| FULL, 1 worker, p50 | floor | 171 [170, 172] us | nerve | 310 [305, 315] us |"
    assert f"{row} 1.81 [1.79, 1.84] | 2 |" in text
    assert "* nerve: 0.1.0 at abc" in text
    assert "## At rest" in text
