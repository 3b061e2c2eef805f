"""What a page names is there: links and their anchors, commands and their options, files, targets."""

import json
import re
import shlex
from contextlib import suppress

import click
import pytest

from nerve.cli.program import program
from nerve.config import load_config
from nerve.config.tree import plain
from nerve.config.yaml12 import parse_text
from tests.docs import markdown
from tests.docs.references import ROOT
from tests.docs.walk import steps_of

PATTERNS = ("*.md", "docs/*.md", "benchmarks/*.md", "senses/*/*.md", "examples/*/*.md")
SECRET_FILE = re.compile(r"\$\{file:[^}]*\}")
COLUMN_BREAK = re.compile(r"\s{2,}|\s#\s")
PIECE_END = re.compile(r"[;,|]\s|\s[>]|&&|[)}\]]*$")
COMMAND = re.compile(r"(?:^|[\s(])nerve (?!nerve )([a-z].*)")
FILE = re.compile(r"(?:nerve|tests|docs|examples|benchmarks|alembic)/[\w./-]+\.(?:py|md|json|yaml)")


PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_every_link_leads_somewhere(page):
    for link in markdown.links(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in markdown.anchors(target.read_text()), link


@each_page
def test_every_command_and_option_is_one_of_the_program(page):
    for line in commands_in(page.read_text()):
        require_command(line)


def commands_in(text):
    """Yield the command lines of nerve in a page's code, each without what stands beside it."""
    for line in markdown.code(text):
        for piece in PIECE_END.split(COLUMN_BREAK.split(line)[0]):
            if found := COMMAND.search(piece):
                yield found[1]


def require_command(line):
    words = shlex.split(line.replace("'", "").replace('"', ""))
    context = click.Context(program, info_name="nerve")
    while isinstance(context.command, click.Group) and words:
        command = context.command.get_command(context, words[0])
        assert command is not None, f"nerve {line}: there is no {words[0]!r}"
        context = click.Context(command, info_name=words.pop(0), parent=context)
    with suppress(click.BadOptionUsage):  # one that is spoken of, without its value
        try:
            context.command.make_parser(context).parse_args(words)
        except click.NoSuchOption as error:
            pytest.fail(f"nerve {line}: {error.message}")


@each_page
def test_every_file_of_the_checkout_is_there(page):
    text = page.read_text()
    written = {step[0] for step in steps_of(text) if isinstance(step, tuple)}
    for code in markdown.code(text):
        for path in set(FILE.findall(code)) - written:
            assert (ROOT / path).exists(), path


@each_page
def test_every_target_of_make_is_there(page):
    makefile = (ROOT / "Makefile").read_text()
    for code in markdown.code(page.read_text()):
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", code):
            assert f"\n{target}:" in makefile, target


def test_every_page_is_in_the_index():
    index = markdown.links((ROOT / "docs/README.md").read_text())
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name in index or page.name == "README.md", page.name


@pytest.mark.parametrize("line", ["nonsense", "logs --nonsense", "list nonsense"])
def test_a_command_that_is_not_there_is_found_out(line):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        require_command(line)


def test_a_link_to_a_heading_that_is_not_there_is_found_out(tmp_path):
    (tmp_path / "a.md").write_text("# A\n\n[there](#a) [not](#b)\n")
    with pytest.raises(AssertionError, match="#b"):
        test_every_link_leads_somewhere(tmp_path / "a.md")


@each_page
def test_every_yaml_is_accepted_with_the_senses_it_speaks_of(page, tmp_path):
    for block in markdown.fenced(page.read_text(), "yaml"):
        values = plain(parse_text(block, page.name))
        if "services" in values:
            continue  # of a container's compose file
        for reflex in values.get("reflexes", ()):
            for key in ("sense", "on"):
                named = reflex.get(key, ())
                for name in [named] if isinstance(named, str) else named:
                    values.setdefault("senses", {}).setdefault(name, {})
        text = SECRET_FILE.sub("made-up", json.dumps(values))  # JSON is YAML
        (tmp_path / "nerve.yaml").write_text(text)
        load_config(tmp_path / "nerve.yaml", environ={})
