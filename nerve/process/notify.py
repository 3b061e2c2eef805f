"""What a service manager is told: one datagram with a few words, as systemd understands them.

Parent. systemd, and whatever else speaks its protocol, names a socket in NOTIFY_SOCKET; where
nobody does, nothing is sent and nothing is made. A word never makes the parent wait: one for
which the socket has no room is kept, the newest of its kind, and goes along with the next.

Protocol: sd_notify(3).
"""

import contextlib
import os
import socket
from collections.abc import MutableMapping

from nerve.clock import US_PER_S

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_OWNER = "WATCHDOG_PID"
VARIABLES = (SOCKET, WATCHDOG, WATCHDOG_OWNER)
"""For this process alone: who inherits them could speak in its name."""
MAX_VALUE_BYTES = 1_024
"""Of one word; a line of `systemctl status` has no room for more."""
_OPPOSITES = {"READY": ("RELOADING", "MONOTONIC_USEC"), "RELOADING": ("READY",)}
"""A word that was not sent yet and is not true any more."""


class Notifier:
    """Tells a service manager, if there is one.

    Attributes:
        watchdog_s: the manager ends this process if it hears no WATCHDOG=1 for so long; None
            where it does not look.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        """`address` is a path, or an abstract name behind an `@`; empty for nobody to tell."""
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._unsent: dict[str, str] = {}
        if address:
            kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_UNIX, kind)

    @property
    def is_heard(self) -> bool:
        """Whether there is anybody to tell."""
        return self._socket is not None

    def tell(self, **words: str) -> None:
        """Send words in one datagram; those first that could not be sent before."""
        if self._socket is None:
            return
        for name, value in words.items():
            for untrue in _OPPOSITES.get(name, ()):
                self._unsent.pop(untrue, None)
            self._unsent[name] = _one_line(value)
        datagram = "\n".join(f"{name}={value}" for name, value in self._unsent.items())
        # No room, or a manager that is being restarted: the next word takes these along.
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram.encode(), self._address)
            self._unsent.clear()

    def close(self) -> None:
        """Tell nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def notifier_from(environ: MutableMapping[str, str]) -> Notifier:
    """Take what concerns the service manager out of the environment.

    Addresses that are neither a path nor an abstract name (`vsock:`) are passed over, and so is
    a watchdog that watches another process.
    """
    address, usec, owner = (environ.pop(name, "") for name in VARIABLES)
    if not address.startswith(("/", "@")):
        return Notifier()
    is_ours = owner in ("", str(os.getpid()))
    is_watched = is_ours and usec.isascii() and usec.isdigit() and int(usec) > 0
    return Notifier(address, int(usec) / US_PER_S if is_watched else None)


def _one_line(value: str) -> str:
    # A newline would begin a word of its own, and a sense's name of it may stand in a status.
    line = value.replace("\n", " ").encode()
    return line[:MAX_VALUE_BYTES].decode(errors="ignore")
