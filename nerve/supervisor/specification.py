"""What a worker is told at its start: its own part of the configuration.

Parent and commands; pure. It also gets every secret value of the file, not only its own,
because it masks them all in whatever it writes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from nerve.config import Loaded
from nerve.config.models import SenseConfig
from nerve.wire.messages import WorkerSpec


def worker_spec(  # noqa: PLR0913  each is said by its name
    loaded: Loaded,
    group: str,
    senses: Mapping[str, SenseConfig],
    *,
    boot: str,
    generation: int,
    blobs: Path,
    database_of: Callable[[str], Path],
    environ: Mapping[str, str],
    received: Mapping[str, dict[str, int]] | None = None,
    slate: str = "",
    cgroup: str = "",
) -> WorkerSpec:
    """Specify the worker of a group.

    Args:
        senses: those of the group that it is to load; all others are their peers.
        database_of: path of the database of any configured sense.
        received: what the journal has of each sense's outbox, where there is a journal.
        slate: where it says what it does, for a worker that is supervised.
        cgroup: the directory of a cgroup for it, where there is one.
        environ: where the variables are taken from that a sense asks for under `env:`.
    """
    asked = {variable for sense in senses.values() for variable in sense.env}
    return WorkerSpec(
        generation=generation,
        boot=boot,
        group=group,
        folder=str(loaded.path.absolute().parent),
        blobs=str(blobs),
        senses=dict(senses),
        databases={name: str(database_of(name)) for name in loaded.config.senses},
        received={name: (received or {}).get(name, {}) for name in senses},
        env={variable: environ[variable] for variable in sorted(asked) if variable in environ},
        masked=loaded.redactor.values,
        limits=loaded.config.group(group),
        slate=slate,
        cgroup=cgroup,
    )
