"""Who is who among nerve's processes, from /proc."""

from collections.abc import Mapping

import psutil

from nerve.process.kernel import children

PARENT, SENTRY, FORK_SERVER, WORKERS = "parent", "sentry", "fork server", "workers"
SPARE, TRACKER = "worker in reserve", "resource tracker"
SPARE_NAME = "nerve: spare"

Kinds = dict[str, list[int]]
"""Process ids by what the processes are."""


def below_parent(parent: int) -> Kinds:
    """The processes of a parent that has no other children than nerve's own."""
    # Of those the sentry alone has a child, the fork server.
    sentries = [pid for pid in children(parent) if children(pid)]
    trackers = [pid for pid in children(parent) if pid not in sentries]
    return {PARENT: [parent], **below_sentries(sentries), TRACKER: trackers}


def below_sentries(sentries: list[int]) -> Kinds:
    """What the fork servers below these have forked."""
    servers = [pid for sentry in sentries for pid in children(sentry)]
    below = [pid for server in servers for pid in children(server)]
    spares = [pid for pid in below if _name(pid) == SPARE_NAME]
    workers = [pid for pid in below if pid not in spares]
    return {SENTRY: sentries, FORK_SERVER: servers, WORKERS: workers, SPARE: spares}


def pids_of(kinds: Mapping[str, list[int]]) -> list[int]:
    """Of all of them."""
    return [pid for pids in kinds.values() for pid in pids]


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return ""
