"""When a command that follows the journal has something to read.

Commands. The nerve that runs tells news over its control socket, and none is missed that comes
while what came before is read. Without one, or where it has no room or is not ours, the journal
is looked at now and then; and whenever one can be asked it is asked again.
"""

import time
from typing import Self

from nerve.cli.remote import Remote, connect
from nerve.config import Loaded
from nerve.errors import NerveError

POLL_S = 0.1
"""Between two looks, while nobody tells."""
CONNECT_EVERY_S = 1.0
"""For a nerve that could tell."""
LOOK_EVERY_S = 5.0
"""All the same, while it has nothing to tell."""


class Wakeups:
    """What ends each pause of somebody who follows."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._remote: Remote | None = None
        self._tried_at = 0.0

    def __enter__(self) -> Self:
        self._subscribe()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def pause(self) -> None:
        """Return when there may be something new; spuriously too, and now and then in any case."""
        if self._remote is None and time.monotonic() - self._tried_at >= CONNECT_EVERY_S:
            self._subscribe()
        if self._remote is None:
            time.sleep(POLL_S)
            return
        try:
            self._remote.news(LOOK_EVERY_S)
        except NerveError:
            self._leave()

    def _subscribe(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._remote = connect(self._loaded)
            self._remote.follow()
        except NerveError:
            self._leave()

    def _leave(self) -> None:
        if self._remote is not None:
            self._remote.close()
            self._remote = None
