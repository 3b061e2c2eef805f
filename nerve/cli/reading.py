"""Which peers a sense reads, from the text of its module; nothing of it is imported or run.

Commands. Peers are declared nowhere: a compute takes them by name, `peers["disk"]`, where it
needs them. What is found are names that stand in its module's own file, behind the name that
`compute` gives its second parameter. A module that cannot be found, read or parsed has none.
"""

import ast
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import nerve.batteries
from nerve.config import Loaded
from nerve.config.files import read_small_file
from nerve.errors import SenseError
from nerve.worker.loader import Location, locate

MAX_SOURCE_BYTES = 1_000_000
"""Of a module; a longer one was made by a machine."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Which peers a sense reads.

    Attributes:
        peers: names that stand in its code, sorted; there need be no such senses.
        others: whether it takes further ones whose names only a run can tell.
    """

    peers: tuple[str, ...] = ()
    others: bool = False


def readings_of(loaded: Loaded) -> dict[str, Reading]:
    """Return what each configured sense reads."""
    files = {name: _file(loaded, name) for name in loaded.config.senses}
    # Many senses may be of one module.
    readings = {file: _read(file) for file in dict.fromkeys(files.values())}
    return {name: readings[file] for name, file in files.items()}


def peers_in(source: bytes) -> Reading:
    """Find the peers that a module's text takes; raises ValueError where it is no Python."""
    try:
        with warnings.catch_warnings():  # of an author's code, which are not for who asks here
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("it is no Python") from error
    taken = list(_taken(tree, _peers_name(tree)))
    names = {node.value for node in taken if isinstance(node, ast.Constant)}
    peers = sorted(name for name in names if isinstance(name, str))
    return Reading(tuple(peers), any(not isinstance(node, ast.Constant) for node in taken))


def _peers_name(tree: ast.Module) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "compute":
            parameters = [*node.args.posonlyargs, *node.args.args]
            return parameters[1].arg if len(parameters) > 1 else None
    return None


def _taken(tree: ast.Module, name: str | None) -> Iterator[ast.expr]:
    """Yield each expression that stands as X in `peers[X]` or `peers.get(X)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name(id=found), slice=key) if found == name:
                yield key
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="get"), args=[key, *_]
            ) if found == name:
                yield key


def _file(loaded: Loaded, name: str) -> Path | None:
    try:
        location = locate(name, loaded.config.senses[name], loaded.path.parent)
    except SenseError:
        return None
    return location.file or _file_of(location)


def _read(file: Path | None) -> Reading:
    try:
        return peers_in(read_small_file(file, MAX_SOURCE_BYTES)) if file else Reading()
    except ValueError:  # FileUnfit is one
        return Reading()


def _file_of(location: Location) -> Path | None:
    """Find the file of an installed module, without importing the packages it is in."""
    module, path = location.module.partition(":")[0], None
    if module.startswith(f"{nerve.batteries.__name__}."):
        module, path = module.rpartition(".")[2], list(nerve.batteries.__path__)
    origin = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path if path is not None else sys.path)
        if spec is None:
            return None
        origin, path = spec.origin, list(spec.submodule_search_locations or ())
    return Path(origin) if origin and origin.endswith(".py") else None
