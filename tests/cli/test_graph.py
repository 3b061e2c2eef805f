"""`nerve graph`: the tree, the two languages of drawings read back, and what senses read."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerve.cli.drawing import dot, mermaid
from nerve.cli.network import Edge, Network, network_of
from nerve.cli.reading import Reading, peers_in
from nerve.cli.tree import MAX_LEVELS, tree_of
from nerve.cli.wording import visible
from nerve.config import Config

CIRCLE = """\
senses: {a: {group: left}, b: {group: right}, c: {group: right}, end: {group: left}, alone: }
reflexes:
  - {kind: sense, sense: a, interval: 10s}
  - {kind: sense, sense: [b, end], on: a}
  - {kind: sense, sense: c, on: b}
  - {kind: sense, sense: b, on: c}
  - {kind: sense, sense: b, cron: "0 6 * * *"}
  - {kind: workflow, workflow: graph, on: [c, end]}
workflows: {graph: {overflow: drop}, idle: {overflow: drop}}
"""


def network(reflexes, senses="abc"):
    config = Config.model_validate({"senses": {name: {} for name in senses}, "reflexes": reflexes})
    return network_of(config, {name: Reading() for name in config.senses}, masked=str)


def chain(names):
    pairs = itertools.pairwise(names)
    return [{"kind": "sense", "sense": target, "on": source} for source, target in pairs]


def text_of(drawn):
    return [" | ".join(["  " * line.level + line.head, *line.details]) for line in tree_of(drawn)]


def test_the_tree_says_what_leads_to_what_and_marks_a_circle(project):
    project.write("nerve.yaml", CIRCLE)
    done = project.nerve("graph")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "group left",
        "  a  every 10s",
        "    -> b  group right; also at 06:00 every day",
        "      -> c",
        "        -> b  also at 06:00 every day; leads back, a circle",
        "        -> graph  workflow, does not run",
        "    -> end",
        "      -> graph  workflow, does not run",
        "group right",
        "  b  at 06:00 every day; see above",
        "group default",
        "  alone  nothing runs it",
        "workflows that nothing runs",
        "  idle",
    ]


def test_the_tree_fits_a_terminal(on_terminal):
    on_terminal.project.write("nerve.yaml", CIRCLE.replace("a: {", f"{'z' * 60}: {{").replace(" a", f" {'z' * 60}"))  # fmt: skip
    assert max(map(len, on_terminal("graph"))) <= 80


def test_senses_in_a_circle_that_nothing_leads_into_are_drawn():
    assert text_of(network(chain("abca"), "abc")) == [
        "group default",
        "  a",
        "    -> b",
        "      -> c",
        "        -> a | leads back, a circle",
    ]
    assert text_of(network(chain("aa"), "a"))[-1] == "    -> a | leads back, a circle"


def test_a_sense_that_several_lead_to_is_followed_once():
    lines = text_of(network([*chain("abd"), *chain("acd"), *chain("de")], "abcde"))
    assert lines.count("      -> d | see above") == 1
    assert sum("-> e" in line for line in lines) == 1


def test_a_chain_of_any_length_is_drawn_in_parts():
    names = [f"s{number}" for number in range(2_000)]
    lines = list(tree_of(network(chain(names), names)))
    assert max(line.level for line in lines) == MAX_LEVELS + 1
    assert {line.head.removeprefix("-> ") for line in lines if line.level} == set(names)


def test_only_what_is_in_a_circle_is_marked():
    edges = network([*chain("xaby"), *chain("ba"), *chain("yy")], "xaby").edges
    marked = {edge.source[1] + edge.target[1] for edge in edges if edge.in_circle}
    assert marked == {"ab", "ba", "yy"}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12))
def test_an_edge_is_marked_when_a_way_leads_back(pairs):
    drawn = network([{"kind": "sense", "sense": t, "on": s} for s, t in pairs], "abcdef")
    reach = {(name, name) for name in "abcdef"}
    for _ in pairs:
        reach |= {(x, t) for x, s in reach for s2, t in pairs if s2 == s}
    for edge in drawn.edges:
        assert edge.in_circle is ((edge.target[1], edge.source[1]) in reach)
    assert {line.head.removeprefix("-> ") for line in tree_of(drawn) if line.level} == set("abcdef")


CONDITIONS = """\
senses: {a: , b: , c: }
reflexes:
  - {kind: sense, sense: b, on: a, where: 'load > 5 and host in ["x", "y"]', debounce: 5s}
  - {kind: sense, sense: c, on: a, where: 'key == "${API_TOKEN}"'}
  - {kind: workflow, workflow: w, on: a}
workflows: {w: {overflow: drop}}
"""


def test_an_edge_says_its_condition_without_its_secrets(project, json_lines):
    """CFG-8"""
    project.write("nerve.yaml", CONDITIONS)
    environ = {"API_TOKEN": "s3cret-word"}
    assert project.nerve("graph", env=environ).stdout.splitlines()[2:] == [
        '    -> b  where load > 5 and host in ["x", "y"], debounce 5s',
        "    -> c  where ********",
        "    -> w  workflow, does not run",
    ]
    for form in ("--dot", "--mermaid", "--json"):
        assert "s3cret" not in project.nerve("graph", form, env=environ).stdout
    drawn = project.nerve("graph", "--dot", env=environ).stdout
    _, _, edges = read_dot(drawn)
    label = 'where load > 5 and host in ["x", "y"], debounce 5s'
    assert [more.get("label") for *_, more in edges] == [label, "where ********", None]
    (shown,) = json_lines(project.nerve("graph", "--json", env=environ).stdout)
    assert shown["edges"][0]["condition"] == label


def test_json_has_all_of_it(project, json_lines):
    project.write("nerve.yaml", CIRCLE)
    project.sense("a", "def compute(db, peers, ctx):\n    return peers['c']\n")
    (drawn,) = json_lines(project.nerve("graph", "--json").stdout)
    assert drawn["senses"][0] == {
        "sense": "a", "group": "left", "timers": ["every 10s"], "peers": ["c"], "other_peers": False,
    }  # fmt: skip
    assert drawn["workflows"] == ["graph", "idle"]
    assert drawn["edges"][2] == {
        "source": "b", "target": "c", "kind": "sense", "condition": "", "in_circle": True,
    }  # fmt: skip


# Drawings are read back by these, which know of each language what is used, and no more.

DOT_TOKEN = re.compile(r'\s+|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[a-z_][a-z_0-9]*|->|[{}\[\]=,;])', re.IGNORECASE | re.DOTALL)  # fmt: skip


def read_dot(text):
    """Return the groups, nodes and edges of a graph in DOT; a ValueError where it is none."""
    words, at = [], 0
    while at < len(text):
        found = DOT_TOKEN.match(text, at)
        if not found:
            raise ValueError(text[at : at + 20])
        at = found.end()
        words += [found[0]] if found.lastgroup else []
    groups, nodes, edges, words = {}, {}, [], iter(words)
    assert [next(words), next(words), next(words)] == ["digraph", "nerve", "{"]
    group = None
    for word in words:
        if word == "subgraph":
            assert next(words).startswith("cluster_")
            assert next(words) == "{"
            group = ""
        elif word == "}":
            group = None
        elif (sign := next(words)) == "=":
            value = next(words)
            groups |= {} if group is None else {unescaped(value): []}
            group = group if group is None else unescaped(value)
            assert next(words) == ";"
        elif sign == "->":
            edges.append((word, next(words), attributes(words)))
        else:
            nodes[word] = attributes(words, sign)
            groups.get(group, []).append(word)
    nodes.pop("node")
    return groups, nodes, edges


def attributes(words, sign=None):
    found, sign = {}, sign or next(words)
    while sign != ";":
        assert sign in "[,"
        name, equals, value, sign = (next(words) for _ in range(4))
        assert equals == "="
        found[name] = unescaped(value)
        sign = next(words) if sign == "]" else sign
    return found


def unescaped(word):
    escaped = {"n": "\n", "\\": "\\", '"': '"'}
    return re.sub(r"\\(.)", lambda m: escaped[m[1]], word[1:-1], flags=re.DOTALL) if word[0] == '"' else word  # fmt: skip


MERMAID_TEXT = r'"([\w \-.,:/#;]*(?:<br/>[\w \-.,:/#;]*)*)"'
MERMAID_LINES = {
    "group": re.compile(rf"  subgraph g\d+\[{MERMAID_TEXT}\]"),
    "end": re.compile("  end"),
    "node": re.compile(rf"  +(n\d+)(?:\[{MERMAID_TEXT}\]|\{{\{{{MERMAID_TEXT}\}}\}})"),
    "edge": re.compile(rf"  (n\d+) (-->|-\.->)(?:\|{MERMAID_TEXT}\|)? (n\d+)"),
    "style": re.compile(r"  linkStyle [\d,]+ stroke:red"),
}


def read_mermaid(text):
    """Return the nodes and edges of a flowchart; each line must be one of those known."""
    first, *lines = text.split("\n")
    assert first == "flowchart LR"
    nodes, edges = {}, []
    for line in lines:
        ((kind, found),) = [(k, p.fullmatch(line)) for k, p in MERMAID_LINES.items() if p.fullmatch(line)]  # fmt: skip
        if kind == "node":
            nodes[found[1]] = mermaid_text(found[2] or found[3])
        elif kind == "edge":
            edges.append((found[1], found[4], found[2], mermaid_text(found[3] or "")))
    return nodes, edges


def mermaid_text(text):
    # Not html.unescape, which leaves out what HTML has no character for, such as U+FFFE.
    return re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text.replace("<br/>", "\n"))


@pytest.fixture
def drawn(project):
    project.write("nerve.yaml", CIRCLE)
    project.sense("a", "def compute(db, peers, ctx):\n    return peers['c'], peers['gone']\n")
    return lambda form: project.nerve("graph", form).stdout


def test_dot_reads_back_as_what_was_drawn(drawn):
    groups, nodes, edges = read_dot(drawn("--dot"))
    label = {name: attributes["label"] for name, attributes in nodes.items()}
    assert {group: [label[node] for node in members] for group, members in groups.items()} == {
        "left": ["a\nevery 10s", "end"],
        "right": ["b\nat 06:00 every day", "c"],
        "default": ["alone"],
    }
    assert [label[name] for name, more in nodes.items() if "shape" in more] == ["graph", "idle"]
    a, b, c, end = "a\nevery 10s", "b\nat 06:00 every day", "c", "end"
    assert [(label[s], label[t]) for s, t, more in edges if more.get("color") == "red"] == [(b, c), (c, b)]  # fmt: skip
    assert [(label[s], label[t], more["label"]) for s, t, more in edges if "style" in more] == [(c, a, "read")]  # fmt: skip
    assert {(label[s], label[t]) for s, t, more in edges if not more} == {(a, b), (a, end), (c, "graph"), (end, "graph")}  # fmt: skip


def test_mermaid_reads_back_as_what_was_drawn(drawn):
    nodes, edges = read_mermaid(drawn("--mermaid").rstrip("\n"))
    assert set(nodes.values()) == {"a\nevery 10s", "b\nat 06:00 every day", "c", "end", "alone", "graph", "idle"}  # fmt: skip
    named = [(nodes[s], sign, nodes[t], label) for s, t, sign, label in edges]
    assert ("c", "-.->", "a\nevery 10s", "read") in named
    assert ("end", "-->", "graph", "") in named
    assert ("c", "-->", "b\nat 06:00 every day", "circle") in named


@given(st.text(max_size=20) | st.sampled_from(['"', "\\", 'a\\"', "]", '"]; x', "-->|", "#35;", "`a`", "<b>", "\\N", "%%", "\n}"]))  # fmt: skip
def test_no_label_breaks_out_of_its_quotes(label):
    one, two = ("sense", "a"), ("workflow", "w")
    drawn = Network({"g": ["a"]}, ["w"], {}, [Edge(one, two, label, in_circle=True)], {})
    said = [part for part in (visible(label), "circle") if part]
    _, _, [(*_, attributes)] = read_dot("\n".join(dot(drawn)))
    assert attributes["label"] == "\n".join(said)
    _, [(*_, text)] = read_mermaid("\n".join(mermaid(drawn)))
    assert text == "\n".join(said)


@pytest.mark.parametrize(
    ("source", "reading"),
    [
        ("def compute(db, peers, ctx):\n    peers['b'], peers['a'].x, peers.get('c')", Reading(("a", "b", "c"))),
        ("async def compute(db, others, /, ctx):\n    others['a'], peers['b']", Reading(("a",))),
        ("def look(peers, name):\n    peers[name]\ndef compute(db, peers, ctx): look(peers, 'a')", Reading((), others=True)),
        ("def compute(db, peers, ctx): return db['a'], peers[3]", Reading()),
        ("def compute(): peers['a']", Reading()),
        ("from x import compute\npeers['a']", Reading()),
        ("'\\d'\ndef compute(db, peers, ctx): peers['a']", Reading(("a",))),
    ],
)  # fmt: skip
def test_peers_are_found_in_the_text_of_a_module(source, reading):
    assert peers_in(source.encode()) == reading


@pytest.mark.parametrize("source", [b"def", b"\0", b"\xff", b"(" * 100_000, b"-" * 100_000 + b"1"])
def test_what_is_no_python_is_refused(source):
    with pytest.raises(ValueError):
        peers_in(source)


def test_no_sense_is_imported_and_what_cannot_be_read_has_no_peers(project):
    project.write("nerve.yaml", "senses: {disk: {}, gone: {}, bad: {use: no.such.module}, pipe: {use: os.path}}")  # fmt: skip
    project.sense("disk", "raise SystemExit('imported')\ndef compute(db, peers, ctx): peers['gone'], peers['x']")  # fmt: skip
    done = project.nerve("graph")
    assert done.exit_code == 0
    assert "  disk  nothing runs it; reads gone, x (not configured)" in done.stdout


def test_the_peers_of_an_installed_sense_are_found(project, monkeypatch):
    project.write("nerve.yaml", "senses: {pressure: {}, mine: {use: outer_pack.inner.mine}}")
    project.write("outer_pack/__init__.py", "raise SystemExit('imported')")
    project.write("outer_pack/inner/mine.py", "def compute(db, peers, ctx): peers['pressure']")
    monkeypatch.syspath_prepend(project.folder)
    lines = project.nerve("graph").stdout.splitlines()
    assert "  pressure  nothing runs it; reads peers that its code names" in lines
    assert "  mine  nothing runs it; reads pressure" in lines


def test_where_there_are_no_senses_that_is_said(project):
    project.write("nerve.yaml", "senses: {}")
    done = project.nerve("graph")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "has no senses" in done.stderr
