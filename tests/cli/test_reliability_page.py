"""docs/reliability.md names what there is: limits, log types, modules and tests."""

import ast
import importlib
import re

import pytest

from nerve.cli.tallies import OUTCOMES

LIMIT = re.compile(r"^\| `([A-Z_]+)` \| `(.+?)` \| `(nerve/.+?)\.py` \|", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LOG_TYPE = re.compile(
    r"(nerve|worker|sense|group|storage|database|state|recovery|reflex|forkserver|log|output"
    r"|archive|compute|control|row|outbox|quarantine|cursor|config)\.[a-z_]+"
)
FILES = {"nerve.yaml", "log.db"}


@pytest.fixture
def page(checkout):
    return (checkout / "docs/reliability.md").read_text()


def test_each_limit_has_the_value_of_the_code(page):
    limits = LIMIT.findall(page)
    assert len(limits) > 20
    for name, value, module in limits:
        found = getattr(importlib.import_module(module.replace("/", ".")), name)
        assert found == eval(compile(ast.parse(value, mode="eval"), module, "eval")), name


def test_each_log_type_is_one_that_is_written(page, checkout):
    written = "".join(path.read_text() for path in (checkout / "nerve").rglob("*.py"))
    types = {code for code in CODE.findall(page) if LOG_TYPE.fullmatch(code)} - FILES
    assert len(types) > 25
    for type_ in types:
        stem, _, outcome = type_.partition(".")
        known = outcome in OUTCOMES if stem == "compute" else f'"{type_}"' in written
        assert known, type_


def test_each_module_and_each_test_is_there(page, checkout):
    paths = {code for code in CODE.findall(page) if re.fullmatch(r"(nerve|tests)/[\w/]+\.py", code)}
    assert len(paths) > 30
    assert [path for path in paths if not (checkout / path).is_file()] == []
    makefile = (checkout / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", page):
        assert f"\n{target}:" in makefile
