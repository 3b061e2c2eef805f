"""Two lines for nerve.yaml: a new sense, and a reflex that runs it.

Pure, but for reading and writing that one file. The file is somebody's own, with comments and
in an order that means something to him; so lines are put in where they belong and all others stay
as they are, byte for byte. Whatever has no plain place for them is left alone, and a person
adds them. What comes out is read again, and must be what was there, and the two.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nerve.config import ConfigFaults, load_config
from nerve.config.tree import plain
from nerve.config.yaml12 import parse_file
from nerve.errors import NerveError

INTERVAL = "10s"
_INDENT = "  "


class NoPlace(NerveError):
    """Nothing can be added to a nerve.yaml of this shape without risk."""


def sense_line(name: str) -> str:
    """Return what stands under `senses:`."""
    return f"{name}: {{}}"


def reflex_line(name: str) -> str:
    """Return what stands under `reflexes:`."""
    return f"- {{kind: sense, sense: {name}, interval: {INTERVAL}}}"


def add_to_file(path: Path, name: str) -> None:
    """Add a sense to nerve.yaml; raises NoPlace, and then the file is as it was."""
    file = path.resolve()  # a link stays one
    try:
        text = file.read_text(encoding="utf-8")
        with _beside(file, with_sense(text, name)) as new:
            load_config(new, environ=os.environ)
            new.chmod(file.stat().st_mode)
            new.replace(file)
    except ConfigFaults as error:
        raise NoPlace("it has faults of its own, which `nerve check` shows") from error
    except (OSError, UnicodeError) as error:
        raise NoPlace(f"it cannot be read and written: {error}") from error


def with_sense(text: str, name: str) -> str:
    """Return the text of a nerve.yaml with a sense and its reflex added; raises NoPlace."""
    try:
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        for key, line in (("reflexes", reflex_line(name)), ("senses", sense_line(name))):
            _insert(lines, key, line)
        new = "".join(lines)
        is_right = _values(new) == _expected(text, name)
    except (yaml.YAMLError, ConfigFaults) as error:
        raise NoPlace(f"it cannot be read: {error}") from error
    if not is_right:
        raise NoPlace("it is written in a way that leaves no plain place for two more lines")
    return new


def _insert(lines: list[str], key: str, line: str) -> None:
    """Put a line at the end of a section, or the section at the end of the file."""
    section = _section("".join(lines), key)
    if section is None:
        lines += [f"{key}:\n", f"{_INDENT}{line}\n"]
        return
    at, value = section
    if isinstance(value, yaml.CollectionNode) and value.value and not value.flow_style:
        first = value.value[0][0] if isinstance(value, yaml.MappingNode) else value.value[0]
        beside = lines[first.start_mark.line]
        indent = beside[: len(beside) - len(beside.lstrip())]
        lines.insert(_last_line(value) + 1, f"{indent}{line}\n")
    elif isinstance(value, yaml.ScalarNode) and value.value == "":
        lines.insert(at + 1, f"{_INDENT}{line}\n")


def _section(text: str, key: str) -> tuple[int, yaml.Node] | None:
    """Return the line of a top-level key, from 0, and its value."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    found = [(k.start_mark.line, v) for k, v in root.value if k.value == key]
    return found[0] if found else None


def _last_line(node: yaml.Node) -> int:
    """Return the last line, from 0, with something of a node on it."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (last, last)
        return max(_last_line(key), _last_line(value))
    # A block of text ends where the next line begins.
    return int(node.end_mark.line) - (node.end_mark.column == 0)


def _values(text: str) -> Any:
    return plain(parse_file(text.encode(), "nerve.yaml"))


def _expected(text: str, name: str) -> Any:
    values = _values(text)
    senses, reflexes = values.get("senses") or {}, values.get("reflexes") or []
    if not isinstance(senses, dict) or not isinstance(reflexes, list):
        raise NoPlace("its sections are not what they should be; `nerve check` says more")
    reflex = {"kind": "sense", "sense": name, "interval": INTERVAL}
    return {**values, "senses": {**senses, name: {}}, "reflexes": [*reflexes, reflex]}


@contextlib.contextmanager
def _beside(file: Path, text: str) -> Iterator[Path]:
    """Have a new file in the same folder, where `${file:}` means the same; it goes afterwards."""
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        yield new
    finally:
        new.unlink(missing_ok=True)
