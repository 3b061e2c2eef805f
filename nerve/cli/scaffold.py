"""`nerve init` and `nerve new sense`: first files to begin from.

Nothing is ever overwritten: all paths are looked at before the first is written, and
each is created in a way that fails should it have appeared meanwhile. What is
written passes `nerve check`, `nerve test` and `pytest`. The texts lie in `templates/`.
"""

import os
import re
from collections.abc import Collection, Mapping
from importlib import resources
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import click

from nerve.cli.adding import INTERVAL, NoPlace, add_to_file, reflex_line, sense_line
from nerve.cli.output import emit, say
from nerve.cli.settings import Settings, config_options
from nerve.config.names import module_name
from nerve.config.values import MAX_NAME_CHARS, NAME_PATTERN, likely_name
from nerve.errors import ConfigurationInvalid, Exit, NerveError, StateError, StateForbidden

_IGNORED = "data/"


class NameInvalid(NerveError):
    """A name for something new does not match the pattern of names."""

    exit_code = Exit.USAGE


@click.command(epilog="\b\nExamples:\n  nerve init\n  nerve init /srv/watch")
@click.argument("directory", type=click.Path(path_type=Path), default=".")
def init(directory: Path) -> None:
    """Write a first nerve.yaml, which watches this machine with the built-in senses."""
    files = {directory / "nerve.yaml": _template("nerve.yaml.txt")}
    ignore = directory / ".gitignore"
    if not _is_there(ignore):
        files[ignore] = f"{_IGNORED}\n"
    _write_all(files)
    _make(directory / "senses")
    if ignore not in files:
        say(f"{ignore} was left as it is; see that it has the line: {_IGNORED}")
    where = "" if directory == Path() else f"cd {directory}; "
    say(f"next: {where}nerve check; nerve run")


@click.group()
def new() -> None:
    """Write a new sense to begin from."""


@new.command(
    short_help="Write a sense into senses/ beside nerve.yaml, and its tests.",
    epilog="\b\nExamples:\n"
    "  nerve new sense load-watch --add         and have nerve.yaml use it\n"
    "  pytest                                   its tests pass at once\n"
    "  nerve test load-watch                    run it once, on a scratch database",
)
@click.argument("name")
@click.option("--add", is_flag=True, help="Add it to nerve.yaml, with a reflex every 10s.")
@config_options
@click.pass_obj
def sense(settings: Settings, name: str, add: bool) -> None:
    """Write a sense into senses/ beside nerve.yaml, with a test, and tell how to use it.

    NAME is written like load-watch: small letters, digits and hyphens. The tests go into tests/
    beside nerve.yaml.
    """
    if len(name) > MAX_NAME_CHARS or not re.fullmatch(NAME_PATTERN, name):
        rule = f"small letters, digits and hyphens, a letter first, at most {MAX_NAME_CHARS}"
        meant = likely_name(name)
        hint = f'did you mean "{meant}"? {rule}' if meant else rule
        raise NameInvalid(f"{name!r} is no name for a sense", hint=hint)
    config = settings.path()
    if not _is_there(config):
        raise ConfigurationInvalid(f"there is no {config}", hint="`nerve init` writes one")
    folder = config.parent / "senses" / module_name(name)
    for path in (folder, folder.with_suffix(".py")):
        _require_free(path)
    files = {
        folder / "__init__.py": _template("sense.py.txt", name),
        folder / "migrations" / "0001_readings.py": _template("migration.py.txt", name),
        folder / "README.md": _template("README.md.txt", name),
        config.parent / "tests" / f"test_{module_name(name)}.py": _template("test.py.txt", name),
    }
    _write_all(files)
    _say_next(settings, name, add=add)


def _say_next(settings: Settings, name: str, *, add: bool) -> None:
    from nerve.worker.loader import ENTRY_POINTS

    if entry_points(group=ENTRY_POINTS, name=name):
        say(f"it is used in place of the sense {name} that is installed")
    config = _shown(settings.path())
    if name in _configured(settings):
        say(f"{config} has it already")
    elif not (add and _is_added(settings.path(), name)):
        say(f"add to {config}:")
        say(f"\n  under senses:    {sense_line(name)}")
        say(f"  under reflexes:  {reflex_line(name)}\n")
    pytest = "pytest" if find_spec("pytest") else "pip install pytest; pytest"
    say(f"next: {pytest}; nerve test {name}; nerve check; nerve run")


def _is_added(config: Path, name: str) -> bool:
    try:
        add_to_file(config, name)
    except NoPlace as error:
        say(f"{_shown(config)} was left as it is: {error}")
        return False
    say(f"{_shown(config)} has it now: {sense_line(name)}, and a reflex every {INTERVAL}")
    return True


def _configured(settings: Settings) -> Collection[str]:
    try:
        return settings.load().config.senses
    except ConfigurationInvalid:  # half written: no reason not to help with the rest
        return ()


def _template(file: str, name: str = "") -> str:
    text = resources.files("nerve.cli").joinpath("templates", file).read_text(encoding="utf-8")
    return text.replace("@NAME@", name)


def _write_all(files: Mapping[Path, str]) -> None:
    for path in files:
        _require_free(path)
    for path, text in files.items():
        _make(path.parent)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise _refused(path, error) from error
        emit(_shown(path))


def _shown(path: Path) -> str:
    """Return a path as whoever stands in this folder would write it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(directory, error) from error


def _require_free(path: Path) -> None:
    if _is_there(path):
        raise StateError(f"{path} is there already", path=path, hint="nothing was written")


def _is_there(path: Path) -> bool:
    """Tell whether something bears this name, a link that leads nowhere included."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _refused(path, error) from error
    return True


def _refused(path: Path, error: OSError) -> StateError:
    kind = StateForbidden if isinstance(error, PermissionError) else StateError
    return kind(f"cannot write {path}: {error.strerror or error}", path=path)
