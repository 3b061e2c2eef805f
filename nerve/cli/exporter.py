"""What `nerve metrics` serves: one look at an installation for each scrape, over HTTP.

Commands, with prometheus_client, which writes the format that is asked for. One scrape at a time:
they are taken in turn, and one that does not come to its end in SCRAPE_TIMEOUT_S is answered with
503, and so is each after it until it has ended. No connection lasts longer than REQUEST_TIMEOUT_S.
"""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client.exposition import generate_latest, make_wsgi_app
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from nerve.cli.output import say
from nerve.cli.scrape import families_of
from nerve.cli.settings import Settings
from nerve.cli.wording import visible
from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.errors import ConfigurationInvalid, Exit, NerveError

SCRAPE_TIMEOUT_S = 8.0
"""Prometheus gives up after ten by default."""
REQUEST_TIMEOUT_S = SCRAPE_TIMEOUT_S + 2.0
"""From accepting a connection to its end, however slowly its other side reads and writes."""
PATH = "/metrics"


class CannotListen(NerveError):
    """The address cannot be used."""

    exit_code = Exit.INPUT_OUTPUT


class ScrapeStuck(NerveError):
    """A scrape has not come to its end in time."""


class Source:
    """Looks at the installation, with the configuration as it is now."""

    def __init__(self, settings: Settings) -> None:
        """Read the configuration; raises ConfigFaults."""
        self._settings = settings
        self._stamp = self._stamp_now()
        self._loaded = settings.load()
        self._told: set[str] = set()

    def families(self) -> list[Metric]:
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


class Scrapes(Collector):
    """Takes one scrape at a time, each within a limit."""

    def __init__(
        self, look: Callable[[], list[Metric]], timeout_s: float = SCRAPE_TIMEOUT_S
    ) -> None:
        """`look` may be held up for ever, by a disk that is gone, say."""
        self._look = look
        self._timeout_s = timeout_s
        self._running: threading.Thread | None = None

    def collect(self) -> list[Metric]:
        """Return the metrics of this moment; raises ScrapeStuck, and what `look` raises."""
        if self._running is not None and self._running.is_alive():
            raise ScrapeStuck("an earlier scrape has not come to its end yet")
        came: list[list[Metric] | Exception] = []
        self._running = threading.Thread(target=self._run, args=(came,), daemon=True)
        self._running.start()
        self._running.join(self._timeout_s)
        if not came:
            hint = "is the disk of the state directory busy, or gone?"
            raise ScrapeStuck(f"a scrape took longer than {self._timeout_s:g} s", hint=hint)
        if isinstance(came[0], Exception):
            raise came[0]
        return came[0]

    def _run(self, came: list[list[Metric] | Exception]) -> None:
        began = time.monotonic()
        try:
            found = self._look()
            took = time.monotonic() - began
            name = "nerve_scrape_duration_seconds"
            came.append([*found, GaugeMetricFamily(name, "How long this look took.", took)])
        except Exception as error:  # noqa: BLE001  it is for whoever waits
            came.append(error)


def text_of(scrapes: Scrapes) -> bytes:
    """Take a scrape and write it; raises what `Scrapes.collect` does."""
    return generate_latest(_registry_of(scrapes))


def serve(scrapes: Scrapes, address: str, port: int) -> None:
    """Answer until SIGTERM or Ctrl-C; raises CannotListen."""
    with listening(scrapes, address, port) as server:
        host, bound, *_ = server.server_address
        shown = f"[{host!s}]" if server.address_family is socket.AF_INET6 else str(host)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            say(f"metrics at http://{shown}:{bound}{PATH}; Ctrl-C stops")
            server.serve_forever()


def listening(scrapes: Scrapes, address: str, port: int) -> WSGIServer:
    """Return a server that listens, and answers once it is told to; raises CannotListen."""

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    try:
        server = Server((address, port), _Handler)
    except OSError as error:
        message = f"cannot listen at {address} port {port}: {error.strerror or error}"
        raise CannotListen(message, hint="name others with --port and --address") from error
    server.set_app(_app_of(scrapes))
    return server


def _registry_of(scrapes: Scrapes) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(scrapes)
    return registry


def _app_of(scrapes: Scrapes) -> WSGIApplication:
    answering: WSGIApplication = make_wsgi_app(_registry_of(scrapes))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return _said("404 Not Found", f"metrics are at {PATH}", start_response)
        try:
            return answering(environ, start_response)
        except Exception as error:  # noqa: BLE001  the boundary between one scrape and the next
            say(f"nerve: {visible(str(error))}")
            return _said("503 Service Unavailable", visible(str(error)), start_response)

    return app


def _said(status: str, text: str, start_response: StartResponse) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


class _Server(WSGIServer):
    def server_bind(self) -> None:
        """Bind as WSGIServer does, without asking the name service who this is: it may hang."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    """One connection, one request."""

    def handle(self) -> None:
        """Answer, and be gone in time."""
        end = threading.Timer(REQUEST_TIMEOUT_S, self._hang_up)
        end.daemon = True
        end.start()
        try:
            with contextlib.suppress(OSError):  # whoever asked is gone
                super().handle()
        finally:
            end.cancel()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Say nothing: each scrape would be a line."""

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
