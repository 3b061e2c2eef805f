import stat

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nerve.cli.adding import NoPlace, add_to_file, with_sense

WITH_COMMENTS = """\
# at the top
senses:   # what is looked at
    # the first
    disk:
        group: host
        options:
            mounts:
                - /     # root

        # and this, which is off
        # timeout: 5s

    # the last one has nothing

    cpu-usage:   # all defaults
    # the end of the senses
reflexes:
- kind: sense
  sense: disk
  interval: 10s   # often
# the end
"""
EXPECTED = """\
# at the top
senses:   # what is looked at
    # the first
    disk:
        group: host
        options:
            mounts:
                - /     # root

        # and this, which is off
        # timeout: 5s

    # the last one has nothing

    cpu-usage:   # all defaults
    heat: {}
    # the end of the senses
reflexes:
- kind: sense
  sense: disk
  interval: 10s   # often
- {kind: sense, sense: heat, interval: 10s}
# the end
"""


def test_the_lines_come_last_in_their_sections_and_all_others_stay():
    assert with_sense(WITH_COMMENTS, "heat") == EXPECTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("senses:\nreflexes:\n", "senses:\n  heat: {}\nreflexes:\n  - {R}\n"),
        ("timezone: UTC", "timezone: UTC\nreflexes:\n  - {R}\nsenses:\n  heat: {}\n"),
        (
            "reflexes:\n  - {kind: sense, sense: a, interval: 1s}\nsenses:\n  a: {use: x}",
            "reflexes:\n  - {kind: sense, sense: a, interval: 1s}\n  - {R}\nsenses:\n  a: {use: x}\n  heat: {}\n",
        ),
        (
            "senses:\n  a:\n    options:\n      text: |\n        two\n        lines\n\nreflexes:\n",
            "senses:\n  a:\n    options:\n      text: |\n        two\n        lines\n\n  heat: {}\nreflexes:\n  - {R}\n",
        ),
    ],
)
def test_a_section_may_be_missing_empty_or_end_the_file(text, expected):
    reflex = "{kind: sense, sense: heat, interval: 10s}"
    assert with_sense(text, "heat") == expected.replace("{R}", reflex)


@pytest.mark.parametrize(
    "text",
    [
        "senses: {a: {}}\n",
        "senses:\n  a: {}\nreflexes: [{kind: sense, sense: a, interval: 1s}]\n",
        "{senses: {a: {}}}\n",
        "senses: &all\n  a: {}\n? reflexes\n: []\n",
        "",
        "- senses\n",
        "senses: 3\n",
        "a: b: c\n",
    ],
)
def test_what_has_no_plain_place_is_refused(text):
    with pytest.raises(NoPlace):
        with_sense(text, "heat")


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), NAMES)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(NAMES, TREES, max_size=3), st.lists(TREES, max_size=3),
    st.sampled_from([None, False]), st.booleans(),
)  # fmt: skip
def test_whatever_the_file_holds_is_kept_or_the_file_is_refused(senses, reflexes, flow, indented):
    text = yaml.safe_dump(
        {"senses": senses, "reflexes": reflexes},
        default_flow_style=flow,
        indent=4 if indented else 2,
    )
    try:
        new = with_sense(text, "the-new-one")
    except NoPlace:
        return
    lines = new.splitlines()
    added = [line for line in lines if "the-new-one" in line]
    assert len(added) == 2
    assert [line for line in lines if line not in added] == text.splitlines()


def test_a_link_stays_a_link_and_the_mode_stays_too(tmp_path):
    real = tmp_path / "real.yaml"
    real.write_text("senses:\n")
    real.chmod(0o640)
    link = tmp_path / "nerve.yaml"
    link.symlink_to(real)
    add_to_file(link, "heat")
    assert link.is_symlink()
    assert "heat: {}" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(list(tmp_path.iterdir())) == 2
