"""What has to be done once before any worker is started.

Parent and commands. The fork server is started without secrets in its environment,
because a process can be asked for ever for the environment it was started with
(/proc/PID/environ), and every worker is a copy of it; and without what the service manager has
told this process alone. What a sense asked for under `env:` reaches its worker with the
specification.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from nerve.config import Loaded
from nerve.config.secrets import looks_secret
from nerve.process.launch import prepare
from nerve.process.notify import VARIABLES

PRELOAD = ("nerve.process.sentry", "nerve.worker.preload")
"""The sentry first: it forks, and should have little in its memory by then."""


@contextmanager
def workers_prepared(
    loaded: Loaded, environ: MutableMapping[str, str], folder: Path | None = None
) -> Iterator[dict[str, str]]:
    """Start the fork server; inside, `environ` has no secrets. Yields a copy of what it was before.

    The fork server listens in `folder`, which nobody else uses, or in a temporary directory.

    For as long as workers are started, and not only at the first start: a fork server
    that was killed is started again with the environment of that moment.
    """
    before = dict(environ)
    told = loaded.secret_env | set(VARIABLES)
    names = {name for name in environ if looks_secret(name) or name in told}
    hidden = {name: environ.pop(name) for name in names}
    try:
        prepare(PRELOAD, folder)
        yield before
    finally:
        environ.update(hidden)
