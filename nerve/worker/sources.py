"""Where the code of a sense lies, for a reload to see whether it has changed.

Worker. Of a sense in a folder or package that is the whole of it, its migrations included; of one
in a single file that file. What the local senses share, other modules in their folder, counts for
each of them that comes up after it was imported.
"""

import contextlib
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from nerve.config.models import SenseConfig
from nerve.config.names import module_name
from nerve.errors import SenseError
from nerve.process.code import fingerprint
from nerve.wire.messages import Code
from nerve.worker.loader import PACKAGE, LoadedSense, locate


def code_of(
    name: str,
    config: SenseConfig,
    folder: Path,
    loaded: LoadedSense | None,
    *,
    senses: Collection[str],
    since_ns: int,
) -> Code:
    """Tell where the code of a sense lies and what it looks like.

    Args:
        name: the sense.
        config: what nerve.yaml says of it.
        folder: that of nerve.yaml.
        loaded: None where it could not be loaded.
        senses: all that are configured.
        since_ns: when its loading began, UTC nanoseconds.
    """
    file = None
    if loaded is not None and loaded.module.__file__ is not None:
        file = Path(loaded.module.__file__)
    elif loaded is None:
        with contextlib.suppress(SenseError):
            file = locate(name, config, folder).file
    if file is None:
        return Code()
    roots = [str(_root(file)), *_shared(senses)]
    return Code(roots=tuple(roots), fingerprint=fingerprint(roots, loaded_since_ns=since_ns))


def _root(file: Path) -> Path:
    return file.parent if file.name == "__init__.py" else file


def _shared(senses: Collection[str]) -> Iterator[str]:
    """Yield the modules beside the local senses that were imported and are none themselves."""
    own = {module_name(sense) for sense in senses}
    for name, module in sorted(sys.modules.items()):
        package, _, rest = name.partition(".")
        file = getattr(module, "__file__", None)
        if package == PACKAGE and rest and "." not in rest and rest not in own and file:
            yield str(_root(Path(file)))
