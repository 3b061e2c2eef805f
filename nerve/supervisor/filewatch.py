"""`nerve run --watch`: nerve.yaml and the local senses are watched, and a change is reloaded.

Parent, in threads of its own, with the optional package watchfiles. It asks for a reload just
as SIGHUP does, so the same is checked first, and a file that is half written is refused and changes
nothing. Changes that come together are one; those that come during a reload lead to one more.
For whoever writes senses: on a machine that is to be left alone, `nerve reload` says when.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from nerve.config import Loaded
from nerve.supervisor.ledger import Ledger
from nerve.supervisor.reloading import Reloading

PACKAGE = "watchfiles"
SENSES = "senses"
"""The folder beside nerve.yaml in which local senses are."""
TOGETHER_MS = 1_000
"""Changes of an editor, or of a version control system, that are taken for one, at most."""
IGNORED = (".pyc", ".swp", ".swx", "~", ".tmp")
"""Ends of names of what editors and Python leave beside a file."""
STEP_MS = 200
"""Of quiet before they are told, and between two looks whether nerve stops."""


def is_installed() -> bool:
    """Whether files can be watched here."""
    return find_spec(PACKAGE) is not None


@contextmanager
def watched(loaded: Loaded, reloading: Reloading, ledger: Ledger) -> Iterator[None]:
    """Inside, each change leads to a reload; entered on the loop."""
    watch = FileWatch(loaded.path.absolute(), reloading, ledger)
    watch.begin()
    try:
        yield
    finally:
        watch.end()


class FileWatch:
    """Watches until it is told to end."""

    def __init__(self, file: Path, reloading: Reloading, ledger: Ledger) -> None:
        self._file = file
        self._reloading = reloading
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._watches_senses = False

    def begin(self) -> None:
        """Start the threads."""
        self._start(self._watch_file)
        self._watch_senses_if_there()

    def end(self) -> None:
        """Have them end; nobody waits for them."""
        self._stopping.set()

    def _watch_senses_if_there(self) -> None:
        if not self._watches_senses and (self._file.parent / SENSES).is_dir():
            self._watches_senses = True
            self._start(self._watch_senses)

    def _start(self, watch: Callable[[], None]) -> None:
        threading.Thread(target=self._safely, args=(watch,), name="watch", daemon=True).start()

    def _safely(self, watch: Callable[[], None]) -> None:
        try:
            watch()
        except Exception as error:  # noqa: BLE001  the thread's end: too many watches, no folder, ...
            why = str(error)
            self._tell(lambda: self._tell_failed(why))

    def _tell_failed(self, why: str) -> None:
        message = f"changes are no longer noticed: {why}"
        payload = {"message": message, "hint": "`nerve reload` after a change does the same"}
        self._ledger.log("nerve", "config.watch_failed", "warning", payload)

    def _tell_changed(self) -> None:
        self._reloading.ask("a changed file")

    def _watch_file(self) -> None:
        """Its folder, because editors put a new file in its place; and nothing below that."""
        names = {self._file.name, SENSES}
        for _ in self._changes(self._file.parent, lambda name: name in names, recursive=False):
            self._watch_senses_if_there()
            self._tell(self._tell_changed)

    def _watch_senses(self) -> None:
        folder = self._file.parent / SENSES
        for _ in self._changes(folder, lambda name: not name.endswith(IGNORED), recursive=True):
            self._tell(self._tell_changed)

    def _changes(
        self, folder: Path, concerns: Callable[[str], bool], *, recursive: bool
    ) -> Iterator[object]:
        from watchfiles import watch  # only whoever asks for it needs it

        return watch(
            folder,
            watch_filter=lambda _, path: concerns(Path(path).name) and "__pycache__" not in path,
            debounce=TOGETHER_MS,
            step=STEP_MS,
            stop_event=self._stopping,
            recursive=recursive,
            raise_interrupt=False,
        )

    def _tell(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback)
