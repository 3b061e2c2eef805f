"""What a reload makes of each key of nerve.yaml that has changed.

Parent and documentation; pure. One table, held to the models by a test, so that whoever adds a key
says what becomes of it. Keys are named as in `Model.key`, in nerve.yaml's spelling.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from nerve.config.models import Config, Section


class Takes(StrEnum):
    """When a changed key takes effect."""

    AT_ONCE = "at once"
    GROUP = "as the worker of its group is replaced"
    NERVE = "when nerve is started the next time"
    PARTS = "as its parts do"


_AT_ONCE, _GROUP, _NERVE, _PARTS = Takes
EFFECTS: Final[Mapping[str, Takes]] = {
    "Config.timezone": _AT_ONCE,
    "Config.state_dir": _NERVE,
    "Config.senses": _PARTS,
    "Config.groups": _PARTS,
    "Config.retention": _PARTS,
    "Config.journal": _PARTS,
    "Config.reflexes": _AT_ONCE,
    "Config.workflows": _AT_ONCE,
    "SenseConfig.use": _GROUP,
    "SenseConfig.group": _GROUP,
    "SenseConfig.throttle": _AT_ONCE,
    "SenseConfig.timeout": _GROUP,
    "SenseConfig.grace_period": _AT_ONCE,
    "SenseConfig.durability": _GROUP,
    "SenseConfig.options": _GROUP,
    "SenseConfig.retention": _GROUP,
    "SenseConfig.secrets": _GROUP,
    "SenseConfig.env": _GROUP,
    "GroupConfig.memory": _GROUP,
    "GroupConfig.open_files": _GROUP,
    "GroupConfig.processes": _GROUP,
    "GroupConfig.nice": _GROUP,
    "GroupConfig.output_lines_per_second": _GROUP,
    "RetentionConfig.logs": _AT_ONCE,
    "RetentionConfig.signals": _AT_ONCE,
    "RetentionConfig.archived": _AT_ONCE,
    "RetentionConfig.compress": _AT_ONCE,
    "JournalConfig.durability": _NERVE,
    "SenseReflex.kind": _AT_ONCE,
    "SenseReflex.sense": _AT_ONCE,
    "SenseReflex.interval": _AT_ONCE,
    "SenseReflex.jitter": _AT_ONCE,
    "SenseReflex.align": _AT_ONCE,
    "SenseReflex.cron": _AT_ONCE,
    "SenseReflex.timezone": _AT_ONCE,
    "SenseReflex.on": _AT_ONCE,
    "SenseReflex.where": _AT_ONCE,
    "SenseReflex.debounce": _AT_ONCE,
    "SenseReflex.missed": _AT_ONCE,
    "SenseReflex.catchup": _AT_ONCE,
    "WorkflowReflex.kind": _AT_ONCE,
    "WorkflowReflex.workflow": _AT_ONCE,
    "WorkflowReflex.on": _AT_ONCE,
    "QueueWorkflow.overflow": _AT_ONCE,
    "QueueWorkflow.concurrency": _AT_ONCE,
    "QueueWorkflow.max_queue": _AT_ONCE,
    "DropWorkflow.overflow": _AT_ONCE,
    "DropWorkflow.concurrency": _AT_ONCE,
}
LOADED_WITH: Final = frozenset({"use", "options", "retention", "secrets", "env"})
"""Keys of a sense that it may refuse as it is loaded, and its code with them."""


def changed_keys(old: Section, new: Section) -> Iterator[tuple[str, Takes]]:
    """Yield the keys in which two sections of one kind differ, and when they take effect."""
    model = type(old)
    for field, info in model.model_fields.items():
        if getattr(old, field) != getattr(new, field):
            key = info.alias or field
            yield key, EFFECTS[f"{model.__name__}.{key}"]


def keys_of_file(old: Config, new: Config) -> Iterator[tuple[str, Takes]]:
    """Yield what differs outside of senses, groups and reflexes, by its path."""
    for key, takes in changed_keys(old, new):
        if takes is not Takes.PARTS:
            if key != "reflexes":
                yield key, takes
        elif key not in {"senses", "groups"}:
            for part, of_part in changed_keys(getattr(old, key), getattr(new, key)):
                yield f"{key}.{part}", of_part
