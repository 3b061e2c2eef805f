"""nerve.yaml: from bytes to typed values, each fault with its line.

    bytes -> yaml12 -> tree -> overrides, interpolation, blanks -> models -> Config
                         |                                           |
                         '------ document: places, secrets <----- explain, references

The parent loads it; workers get their validated part over the wire, and use from
here the models, the `Redactor` and `explain.wording`. Nothing here writes a file,
starts a process, or imports the code of a sense. `Problem` and `Fault` are how each
check reports; `load_config` raises them all at once.

A name is imported when it is first asked for: a process that wants the durations or the
redactor does not pay for pydantic and the YAML parser.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nerve.config.faults import ConfigFaults, Fault, Problem
    from nerve.config.load import Loaded, load_config
    from nerve.config.models import Config, GroupConfig, SenseConfig, SenseReflex, WorkflowReflex
    from nerve.config.secrets import Redactor
    from nerve.config.whereabouts import Located, Whereabouts, find_config

_HOMES = {
    "Config": "models",
    "ConfigFaults": "faults",
    "Fault": "faults",
    "GroupConfig": "models",
    "Loaded": "load",
    "Located": "whereabouts",
    "Problem": "faults",
    "Redactor": "secrets",
    "SenseConfig": "models",
    "SenseReflex": "models",
    "Whereabouts": "whereabouts",
    "WorkflowReflex": "models",
    "find_config": "whereabouts",
    "load_config": "load",
}
__all__ = [
    "Config",
    "ConfigFaults",
    "Fault",
    "GroupConfig",
    "Loaded",
    "Located",
    "Problem",
    "Redactor",
    "SenseConfig",
    "SenseReflex",
    "Whereabouts",
    "WorkflowReflex",
    "find_config",
    "load_config",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
