"""What a sense may have changed for the whole worker, put right before the next compute.

Worker, main thread. Signal handlers, the signal mask, the folder: each belongs to the process and
not to the sense that changed it, and its neighbours would have to live with it. Put right before a
compute and not after it, because a thread left behind can change them between the two. SIGALRM's
handler is put right by `deadline`, in the same way: a sense that ignores it would take the soft
timeout from all others of its group.

What is not put right: environment variables, modules that were patched, file descriptors. Whoever
shares a worker with a sense that changes these shares that; a group of its own is the way out.
"""

import contextlib
import os
import signal
from typing import Final

from nerve.process.kernel import handler_of

IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""A Ctrl-C reaches the whole terminal, a stop of a service the whole tree; the parent decides."""


class Stance:
    """How nerve has set up this process."""

    def __init__(self) -> None:
        """Take it, and remember the folder."""
        self._folder = os.getcwd()  # noqa: PTH109  a text to give back, not a path to work with
        self.resume()

    def resume(self) -> None:
        """Set the process up in the same way again; takes 2 us."""
        for number in IGNORED:
            if handler_of(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        with contextlib.suppress(OSError):  # the folder is gone, and there is no other
            os.chdir(self._folder)
