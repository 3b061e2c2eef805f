"""Which configuration a command was pointed at.

`-c` and `--set` may stand before a command's name and after it, because nobody
remembers which at night. The configuration is read when a command asks for it.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nerve.errors import Exit, NerveError

if TYPE_CHECKING:
    from nerve.config import Loaded, Whereabouts

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class NoSuchSense(NerveError):
    """A command was asked about a sense that is not configured."""

    exit_code = Exit.USAGE


@dataclass(frozen=True, slots=True)
class Settings:
    """What `-c` and `--set` said.

    Attributes:
        config: path of the file as given; None for NERVE_CONFIG or ./nerve.yaml.
        overrides: `key.path=value`, in order.
    """

    config: str | None = None
    overrides: tuple[str, ...] = ()

    def path(self) -> Path:
        """Return where the configuration is, whether or not there is such a file."""
        from nerve.config.whereabouts import find_config

        return find_config(self.config, os.environ, Path.cwd())

    def load(self) -> "Loaded":
        """Read the configuration; raises ConfigFaults."""
        from nerve.config import load_config

        return load_config(self.path(), environ=os.environ, overrides=self.overrides)

    def whereabouts(self) -> "Whereabouts | Loaded":
        """Tell where all is, whatever else is at fault; raises ConfigFaults if that cannot be."""
        # Not from the package: a module that only tells where things are is quickly imported.
        from nerve.config.whereabouts import Whereabouts, find_state_dir

        path = self.path()
        state_dir = find_state_dir(path, environ=os.environ, overrides=self.overrides)
        return Whereabouts(path, state_dir) if state_dir is not None else self.load()

    def words(self) -> list[str]:
        """Return the options that point another command at the same configuration."""
        chosen = ["-c", self.config] if self.config else []
        return chosen + [word for override in self.overrides for word in ("--set", override)]


def config_options(command: _Decorated) -> _Decorated:
    """Add `-c` and `--set` to a command; what they say is in its context's `obj`."""
    for option in (_SET, _CONFIG):
        command = option(command)
    return command


def require_sense(loaded: "Loaded", name: str) -> None:
    """Raise NerveError unless the configuration has this sense."""
    from nerve.config.names import closest

    senses = loaded.config.senses
    if name in senses:
        return
    guess = closest(name, senses)
    known = ", ".join(senses) or "none"
    hint = f'did you mean "{guess}"?' if guess else f"the senses are: {known}"
    if local := local_sense(loaded.path, name):
        hint = f"{local} is there; add `{name}: {{}}` under senses: to use it"
    raise NoSuchSense(f"{loaded.path.name} has no sense {name!r}", hint=hint)


def local_sense(config: Path, name: str) -> Path | None:
    """Return the folder or file of a sense beside nerve.yaml, or None; nothing is imported."""
    from nerve.config.names import module_name
    from nerve.config.values import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN, name):
        return None
    folder = config.parent / "senses" / module_name(name)
    return next((p for p in (folder, folder.with_suffix(".py")) if os.path.lexists(p)), None)


def _remember_config(context: click.Context, _parameter: click.Parameter, value: str) -> None:
    settings = context.ensure_object(Settings)
    if value:
        context.obj = replace(settings, config=value)


def _remember_overrides(
    context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> None:
    settings = context.ensure_object(Settings)
    context.obj = replace(settings, overrides=settings.overrides + values)


_CONFIG = click.option(
    "-c",
    "--config",
    metavar="PATH",
    expose_value=False,
    callback=_remember_config,
    help="The configuration. Else NERVE_CONFIG, else ./nerve.yaml.",
)
_SET = click.option(
    "--set",
    metavar="KEY=VALUE",
    multiple=True,
    expose_value=False,
    callback=_remember_overrides,
    help="Override a key, e.g. senses.disk.timeout=20s. May be repeated.",
)
