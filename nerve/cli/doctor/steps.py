"""Which steps an examination has, and in which order: a step comes after those that it needs."""

from nerve.cli.doctor import (
    access,
    archived,
    asking,
    configured,
    databases,
    directory,
    holding,
    journal,
    limits,
    machine,
    space,
    told,
    versions,
)
from nerve.cli.doctor.examination import Step

CONFIGURATION = directory.UNKNOWN
DIRECTORY = "state_dir"
JOURNAL = "logs.db"

_THERE = (DIRECTORY,)
STEPS = (
    Step("python", versions.look_at_python, what="Python"),
    Step("sqlite", versions.look_at_sqlite, what="SQLite"),
    Step("clock", machine.look_at_clock, what="the clock"),
    Step("/dev/shm", machine.look_at_shared_memory, what="/dev/shm"),  # noqa: S108  its name
    Step(DIRECTORY, directory.look_at_directory),
    Step(CONFIGURATION, configured.look_at_configuration, what="nerve.yaml"),
    Step(
        "senses",
        configured.look_at_senses,
        needs=(CONFIGURATION,),
        what="the loading of senses",
        timeout_s=configured.SENSES_TIMEOUT_S,
    ),
    Step("file system", directory.look_at_file_system),
    Step("space", space.look_at_space, needs=_THERE),
    Step("access", access.look_at_access, needs=_THERE),
    Step("lock", holding.look_at_lock, needs=_THERE),
    Step("socket", asking.look_at_socket, needs=_THERE, what="the nerve that runs"),
    Step("limits", limits.look_at_limits, needs=(CONFIGURATION,), what="the limits"),
    Step("memory", limits.look_at_memory, needs=(CONFIGURATION,), what="the control group"),
    Step("leftovers", holding.look_at_leftovers, needs=_THERE),
    Step(JOURNAL, journal.look_at_journal, needs=_THERE),
    Step("databases", databases.look_at_databases, needs=_THERE),
    Step("log", told.look_at_log, needs=(JOURNAL,)),
    Step("archive", archived.look_at_archive, needs=(JOURNAL,)),
)
