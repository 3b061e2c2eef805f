"""Where an installation is: its nerve.yaml and its state directory, and nothing else of it.

Commands. For who reads what a run leaves behind, or asks the nerve that runs: that must work
where other parts of the configuration are at fault, and quickly, so no model is imported here.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nerve.config.blanks import without_blanks
from nerve.config.document import make_document
from nerve.config.faults import ConfigFaults, one_fault
from nerve.config.files import FileMissing, FileUnfit, read_small_file
from nerve.config.interpolation import Interpolator
from nerve.config.overrides import apply_overrides
from nerve.config.tree import Node, Place, plain
from nerve.config.yaml12 import MAX_FILE_BYTES, parse_file

CONFIG_VARIABLE = "NERVE_CONFIG"
STATE_DIR_VARIABLE = "NERVE_STATE_DIR"
DEFAULT_FILE = "nerve.yaml"
DEFAULT_STATE_DIR = "data"
_MISSING_HINT = f"`nerve init` writes a first one; name another with --config or {CONFIG_VARIABLE}"


class Located(Protocol):
    """What is known of where it is: a whole configuration, or its whereabouts alone."""

    @property
    def path(self) -> Path:
        """The configuration's file."""
        ...

    @property
    def state_dir(self) -> Path:
        """The state directory, absolute."""
        ...


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The file of a configuration, and the state directory that it names."""

    path: Path
    state_dir: Path


def find_config(explicit: str | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Tell which file to load: the one named, else NERVE_CONFIG, else ./nerve.yaml."""
    return cwd / (explicit or environ.get(CONFIG_VARIABLE, "").strip() or DEFAULT_FILE)


def find_state_dir(
    path: Path, *, environ: Mapping[str, str], overrides: Sequence[str] = ()
) -> Path | None:
    """Tell which state directory is meant, although other parts of a configuration are at fault.

    The path is absolute, and nothing on its way is looked at: that may be what hangs. None where it
    cannot be told: no such file, or one that is no YAML.
    """
    if known := environ.get(STATE_DIR_VARIABLE, "").strip():
        return Path(known).absolute()
    try:
        tree, _ = apply_overrides(read_tree(path), overrides)
        document = make_document(without_blanks(Interpolator(path.parent, environ).tree(tree)))
        said = plain(document.tree).get("state_dir", DEFAULT_STATE_DIR)
    except ConfigFaults:
        return None
    is_sound = isinstance(said, str) and not said.startswith("~") and "\0" not in said
    if not is_sound or document.is_unresolved(("state_dir",)):
        return None
    return (path.parent / str(said)).absolute()


def real_state_dir(path: Path, said: str, environ: Mapping[str, str]) -> Path:
    """Tell the state directory of a sound configuration that says this of it."""
    from_environment = environ.get(STATE_DIR_VARIABLE, "").strip()
    # Not Path.resolve(), which raises RuntimeError over a loop of links.
    return Path(os.path.realpath(from_environment or path.parent / said))


def read_tree(path: Path) -> Node:
    """Read a file as a tree of YAML; raises ConfigFaults."""
    source = path.name or str(path)
    try:
        content = read_small_file(path, MAX_FILE_BYTES)
    except FileUnfit as error:
        hint = _MISSING_HINT if isinstance(error, FileMissing) else error.hint
        raise one_fault(Place(source), f"the file {str(path)!r} {error}", hint) from error
    return parse_file(content, source)
