"""What has to be done once before any worker is started.

Parent and commands. The fork server is started with an environment without
secrets, because a process can be asked for ever for the environment it was
started with (/proc/PID/environ), and every worker is a copy of it. What a sense
asked for under `env:` reaches its worker with the specification.
"""

from collections.abc import Mapping

from nerve.config import Loaded
from nerve.config.secrets import looks_secret
from nerve.process.launch import prepare

PRELOAD = ("nerve.worker.preload",)


def keep_out(loaded: Loaded, environ: Mapping[str, str]) -> frozenset[str]:
    """Names of the environment variables that workers do not get unless they ask."""
    return frozenset(name for name in environ if looks_secret(name)) | loaded.secret_env


def prepare_workers(kept_out: frozenset[str]) -> None:
    """Start the fork server with everything imported that workers need."""
    prepare(PRELOAD, kept_out)
