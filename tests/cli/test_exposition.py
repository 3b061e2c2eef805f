"""The text that Prometheus reads."""

import re

from hypothesis import given
from hypothesis import strategies as st

from nerve.cli.exposition import Family, exposition

LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def samples_of(text):
    """Read a text as Prometheus does: (name, labels) to the value."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) \w+ \S", line)
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        read = {
            key: re.sub(r"\\.", lambda escape: ESCAPES[escape[0]], escaped)
            for key, escaped in LABEL.findall(labels or "")
        }
        found[name, tuple(sorted(read.items()))] = float(value)
    return found


@given(st.text(st.characters(exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_a_label_may_have_any_value(value):
    family = Family("nerve_x", "gauge", "An\nexample with \\.")
    family.add(1.5, name=value)
    assert samples_of(exposition([family])) == {("nerve_x", (("name", value),)): 1.5}


def test_a_family_has_its_help_and_its_type_once_and_none_without_a_sample():
    family, empty = Family("nerve_a_total", "counter", "What."), Family("nerve_b", "gauge", "Not.")
    family.add(1, sense="x")
    family.add(2**53, sense="y")
    assert exposition([family, empty]) == (
        "# HELP nerve_a_total What.\n"
        "# TYPE nerve_a_total counter\n"
        'nerve_a_total{sense="x"} 1\n'
        'nerve_a_total{sense="y"} 9007199254740992\n'
    )


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=12), st.floats(0, 1e12, allow_nan=False)
)
def test_the_buckets_of_a_histogram_are_cumulative_and_the_last_one_is_the_count(counts, total):
    bounds = [0.001 * 4**n for n in range(len(counts) - 1)]
    family = Family("nerve_h_seconds", "histogram", "How long.")
    family.add_histogram(bounds, counts, total, sense="x")
    found = samples_of(exposition([family]))
    reached = [value for (name, _), value in found.items() if name.endswith("_bucket")]
    assert reached == sorted(reached)
    assert len(reached) == len(counts)
    infinite = (("le", "+Inf"), ("sense", "x"))
    assert found["nerve_h_seconds_bucket", infinite] == sum(counts)
    assert found["nerve_h_seconds_count", (("sense", "x"),)] == sum(counts)
    assert found["nerve_h_seconds_sum", (("sense", "x"),)] == total
