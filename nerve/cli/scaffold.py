"""`nerve init` and `nerve new sense`: first files to begin from.

Nothing is ever overwritten: all paths are looked at before the first is written, and
each is created in a way that fails should it have appeared meanwhile. What is
written passes `nerve check` and `nerve test`. The texts lie in `templates/`.
"""

import re
from collections.abc import Collection, Mapping
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path

import click

from nerve.cli.output import emit, say
from nerve.cli.settings import Settings, config_options
from nerve.config.names import module_name
from nerve.config.values import MAX_NAME_CHARS, NAME_PATTERN
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


@new.command(short_help="Write a sense into senses/ beside nerve.yaml.")
@click.argument("name")
@config_options
@click.pass_obj
def sense(settings: Settings, name: str) -> None:
    """Write a sense into senses/ beside nerve.yaml, and tell how to use it.

    NAME is written like load-watch: small letters, digits and hyphens.
    """
    if len(name) > MAX_NAME_CHARS or not re.fullmatch(NAME_PATTERN, name):
        hint = f"small letters, digits and hyphens, a letter first, at most {MAX_NAME_CHARS}"
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
    }
    _write_all(files)
    _say_next(settings, name)


def _say_next(settings: Settings, name: str) -> None:
    from nerve.worker.loader import ENTRY_POINTS

    if entry_points(group=ENTRY_POINTS, name=name):
        say(f"it is used in place of the sense {name} that is installed")
    if name in _configured(settings):
        say(f"{settings.path()} has it already")
    else:
        say(f"add to {settings.path()}:")
        say(f"\n  under senses:    {name}: {{}}")
        say(f"  under reflexes:  - {{kind: sense, sense: {name}, interval: 10s}}\n")
    say(f"then try it: nerve test {name}")


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
        emit(str(path))


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
