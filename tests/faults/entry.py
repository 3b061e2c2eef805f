"""`nerve run` for hostile senses: as `tests/runtime/entry.py`, with short times for a worker's start.

LOAD_TIMEOUT_MS, MIGRATE_TIMEOUT_MS, BOOT_TIMEOUT_S and BOOT_GRACE_S come from the environment.
"""

import os

from nerve.supervisor import boot, roster
from tests.runtime import entry

SPECIFIED = roster.worker_spec


def specify(*arguments, **named):
    spec = SPECIFIED(*arguments, **named)
    names = {name: name.upper() for name in ("load_timeout_ms", "migrate_timeout_ms")}
    short = {name: int(os.environ[key]) for name, key in names.items() if key in os.environ}
    return spec.model_copy(update=short)


if __name__ == "__main__":
    roster.worker_spec = specify
    for limit in {"BOOT_TIMEOUT_S", "BOOT_GRACE_S"} & os.environ.keys():
        setattr(boot, limit, float(os.environ[limit]))
    entry.main()
