"""The package boundary is the process boundary: arrows point down."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nerve"
LAYERS = {
    "version": 0, "errors": 0, "clock": 0, "sense": 0, "config": 0,
    "wire": 1, "store": 1, "process": 1, "logs": 1,
    "reflex": 2,
    "supervisor": 3, "worker": 3, "archivist": 3,
    "testing": 4, "app": 4, "cli": 5, "__main__": 5,
}  # fmt: skip
APART = [
    {"wire", "store", "process", "logs"}, {"supervisor", "worker", "archivist"}, {"testing", "app"},
]  # fmt: skip
MODULES = sorted(
    p for p in PACKAGE.rglob("*.py") if "batteries" not in p.parts and p != PACKAGE / "__init__.py"
)


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "nerve" and len(parts) > 1 else None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_import_goes_up_or_sideways(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports_of(path):
        other = part_of(module)
        if other is None or other == own or other not in LAYERS:
            continue
        assert LAYERS[other] <= LAYERS[own], f"{own} imports {module}"
        assert not any({own, other} <= apart for apart in APART), f"{own} imports {module}"


def test_every_part_has_a_layer():
    parts = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in MODULES}
    assert parts <= set(LAYERS)


@pytest.mark.parametrize("folder", ["senses", "examples"])
def test_senses_import_of_nerve_only_what_it_exports(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for module in imports_of(path):
            parts = module.split(".")
            assert parts[0] != "nerve" or len(parts) <= 2, f"{path} imports {module}"
            if parts[0] == "nerve" and len(parts) == 2:
                import nerve

                assert parts[1] in nerve.__all__, f"{path} imports {module}"


def test_the_kit_is_for_tests_and_for_the_command_that_tries_a_sense_out():
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if "testing" not in path.parts and "testing" in map(part_of, imports_of(path))
    }
    assert users == {"cli/trial.py"}


def test_pytest_is_needed_by_the_plugin_alone():
    users = {str(p.relative_to(PACKAGE)) for p in MODULES if "pytest" in imports_of(p)}
    assert users == {"testing/plugin.py"}


def test_the_plugin_brings_nothing_into_a_run_that_does_not_use_it():
    code = "import pytest, sys; before = set(sys.modules); import nerve.testing.plugin; print(*set(sys.modules) - before)"
    brought = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(brought) == {"nerve", "nerve.version", "nerve.testing", "nerve.testing.plugin"}


def test_the_parents_modules_bring_neither_sqlalchemy_nor_alembic():
    code = "import nerve.app, sys; sys.exit(bool({'sqlalchemy', 'alembic', 'nerve.worker'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
