"""nerve: an observation engine.

What a sense's author imports stands here, and nothing else does. The names are
loaded at first use, so that `nerve --help` does not pay for pydantic.
"""

from typing import TYPE_CHECKING

from nerve.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from nerve.errors import NerveError, PeerError, SenseError
    from nerve.sense import (
        Blobs,
        Compute,
        Context,
        Json,
        Options,
        Peers,
        Retention,
        Signal,
        SoftTimeout,
        Trigger,
        TriggerKind,
    )

__all__ = [
    "Blobs",
    "Compute",
    "Context",
    "Json",
    "NerveError",
    "Options",
    "PeerError",
    "Peers",
    "Retention",
    "SenseError",
    "Signal",
    "SoftTimeout",
    "Trigger",
    "TriggerKind",
    "__version__",
]

_FROM_ERRORS = {"NerveError", "PeerError", "SenseError"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'nerve' has no attribute {name!r}")
    if name in _FROM_ERRORS:
        from nerve import errors as home
    else:
        from nerve import sense as home  # type: ignore[no-redef]
    return getattr(home, name)
