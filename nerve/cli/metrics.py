"""`nerve metrics`: for Prometheus, in a process of its own.

It reads logs.db as any reader does and asks the nerve that runs for what no file has, so the parent
pays one bounded answer for a scrape and serves nobody. One scrape at a time: they are taken in
turn, and one that does not come to its end in SCRAPE_TIMEOUT_S is answered with 503, and so is each
after it until it has ended.
"""

import contextlib
import ipaddress
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from typing import Any

import click

from nerve.cli.exposition import CONTENT_TYPE, Family, exposition
from nerve.cli.numbers import number_option
from nerve.cli.output import say
from nerve.cli.scrape import families_of
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import visible
from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.errors import ConfigurationInvalid, Exit, NerveError

DEFAULT_PORT = 9108
SCRAPE_TIMEOUT_S = 8.0
"""Prometheus gives up after ten by default."""
REQUEST_TIMEOUT_S = SCRAPE_TIMEOUT_S + 2.0
"""From accepting a connection to its end, however slowly its other side reads and writes."""
PATH = "/metrics"
HIGHEST_PORT = 65_535


class CannotListen(NerveError):
    """The address cannot be used."""

    exit_code = Exit.INPUT_OUTPUT


class ScrapeStuck(NerveError):
    """A scrape has not come to its end in time."""


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve metrics                      at http://127.0.0.1:9108/metrics\n"
    "  nerve metrics --once > nerve.prom  for a collector of text files"
)
@number_option(
    "--port",
    0,
    HIGHEST_PORT,
    default=DEFAULT_PORT,
    show_default=True,
    help="Where to listen; 0 takes any that is free.",
)
@click.option(
    "--address", default="127.0.0.1", show_default=True, help="Where to listen; an IP address."
)
@click.option("--once", is_flag=True, help="Print the metrics to stdout and end.")
@config_options
@click.pass_obj
def metrics(settings: Settings, port: int, address: str, once: bool) -> None:
    """Serve metrics of this nerve for Prometheus, or print them once.

    Lateness and durations, outcomes, groups, what waits for reflexes, quarantines and the sizes of
    databases. It works beside a running nerve and without one; nerve_up says which.
    """
    scrapes = Scrapes(Source(settings).families)
    if once:
        click.echo(scrapes.take(), nl=False)
        return
    _warn_of(address)
    serve(scrapes, address, port)


class Source:
    """Looks at the installation, with the configuration as it is now."""

    def __init__(self, settings: Settings) -> None:
        """Read the configuration; raises ConfigFaults."""
        self._settings = settings
        self._stamp = self._stamp_now()
        self._loaded = settings.load()
        self._told: set[str] = set()

    def families(self) -> list[Family]:
        """Look once; what is wrong is told once, until it is right again."""
        faults: list[str] = []
        found = families_of(self._reloaded(), SystemClock(), faults.append)
        for fault in faults:
            if fault not in self._told:
                say(f"nerve: {visible(fault)}")
        self._told = set(faults)
        return found

    def _reloaded(self) -> Loaded:
        """The file may have changed, as for a reload; one with faults changes nothing."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(ConfigurationInvalid):
                self._loaded = self._settings.load()
        return self._loaded

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            found = Path(self._settings.path()).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)


class Scrapes:
    """Takes one scrape at a time, each within a limit."""

    def __init__(self, look: Callable[[], list[Family]]) -> None:
        """`look` may be held up for ever, by a disk that is gone, say."""
        self._look = look
        self._running: threading.Thread | None = None

    def take(self, timeout_s: float = SCRAPE_TIMEOUT_S) -> str:
        """Return the metrics of this moment; raises ScrapeStuck, and what `look` raises."""
        if self._running is not None and self._running.is_alive():
            raise ScrapeStuck("an earlier scrape has not come to its end yet")
        came: list[str | Exception] = []
        self._running = threading.Thread(target=self._run, args=(came,), daemon=True)
        self._running.start()
        self._running.join(timeout_s)
        if not came:
            hint = "is the disk of the state directory busy, or gone?"
            raise ScrapeStuck(f"a scrape took longer than {timeout_s:g} s", hint=hint)
        if isinstance(came[0], Exception):
            raise came[0]
        return came[0]

    def _run(self, came: list[str | Exception]) -> None:
        began = time.monotonic()
        try:
            found = self._look()
            took = Family("nerve_scrape_duration_seconds", "gauge", "How long this look took.")
            took.add(time.monotonic() - began)
            came.append(exposition([*found, took]))
        except Exception as error:  # noqa: BLE001  it is for whoever waits
            came.append(error)


def serve(scrapes: Scrapes, address: str, port: int) -> None:
    """Answer until SIGTERM or Ctrl-C; raises CannotListen."""
    with _listening(scrapes, address, port) as server:
        host, bound, *_ = server.server_address
        shown = f"[{host!s}]" if server.address_family is socket.AF_INET6 else str(host)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            say(f"metrics at http://{shown}:{bound}{PATH}; Ctrl-C stops")
            server.serve_forever()


def _listening(scrapes: Scrapes, address: str, port: int) -> TCPServer:
    class Handler(_Handler):
        taking = scrapes

    class Server(TCPServer):  # HTTPServer asks the name service who it is, which may hang
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        allow_reuse_address = True

    try:
        return Server((address, port), Handler)
    except OSError as error:
        message = f"cannot listen at {address} port {port}: {error.strerror or error}"
        raise CannotListen(message, hint="name others with --port and --address") from error


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    taking: Scrapes
    timeout = REQUEST_TIMEOUT_S
    server_version = "nerve"
    sys_version = ""

    def handle(self) -> None:
        """Answer, and be gone in time."""
        # A limit for the whole; `timeout` begins anew with each byte that comes.
        end = threading.Timer(REQUEST_TIMEOUT_S, self._hang_up)
        end.daemon = True
        end.start()
        try:
            with contextlib.suppress(OSError):  # whoever asked is gone
                super().handle()
        finally:
            end.cancel()

    def do_GET(self) -> None:
        """Answer a GET."""
        if self.path.partition("?")[0] != PATH:
            self._answer(404, f"metrics are at {PATH}\n")
            return
        try:
            text = self.taking.take()
        except Exception as error:  # noqa: BLE001  the boundary between one scrape and the next
            say(f"nerve: {visible(str(error))}")
            self._answer(503, f"{visible(str(error))}\n")
            return
        self._answer(200, text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Say nothing: each scrape would be a line."""

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _warn_of(address: str) -> None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise click.BadParameter(f"{address!r} is no IP address", param_hint="--address") from None
    if not found.is_loopback:
        warning = click.style("warning: ", fg="yellow")
        say(
            f"{warning}whoever reaches {address} can read the names of senses and how they do; "
            "there is no password and no TLS"
        )
