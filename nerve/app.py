"""`nerve run`, wired: the one place where everything is put together.

The parent process. From here down each part is given what it needs; nothing looks
anything up. Signal handlers are installed here, by the entry point, and not by an
import: SIGTERM and the first Ctrl-C stop in an orderly way, a second one at once.

SIGHUP reloads the configuration, unless it comes because the terminal was closed in which nerve
was started: then nobody is left who would see it run on or could stop it with Ctrl-C, and it
stops in an orderly way. Whoever wants it to outlive a terminal starts it away from one: with
`nohup` and its output redirected, in tmux, under systemd.
"""

import asyncio
import faulthandler
import os
import signal
from collections.abc import Collection, MutableMapping
from contextlib import nullcontext

from nerve.clock import SystemClock
from nerve.config import Loaded
from nerve.errors import Exit
from nerve.process.kernel import become_subreaper
from nerve.process.launch import end_adopted, shut_down
from nerve.process.notify import notifier_from
from nerve.store.journal import Journal
from nerve.store.state_dir import StateDir
from nerve.supervisor.filewatch import watched
from nerve.supervisor.ledger import Tally
from nerve.supervisor.preparation import workers_prepared
from nerve.supervisor.supervisor import Observe, Supervisor


def run(loaded: Loaded, *, once: bool, observe: Observe, watch: bool = False) -> tuple[Exit, Tally]:
    """Run until asked to stop; return the exit code and what the run came to.

    With `watch` the configuration is reloaded as soon as its file, or a local sense, changes.

    Raises AlreadyRunning, StateError, DatabaseError and their kin before anything is
    started; StateDeleted after an orderly stop, where the state directory was lost.
    """
    state = StateDir(loaded.state_dir)
    state.create()
    lock = state.lock(loaded.path)
    try:
        full_sync = loaded.config.journal.durability == "full"
        journal = Journal(state.journal_path, full_sync=full_sync)
        # A subreaper, so that workers whose fork server was killed do not escape to init.
        become_subreaper()
        with workers_prepared(loaded, os.environ, state.fork) as environ:
            tally = asyncio.run(
                _supervise(loaded, state, journal, environ, observe=observe, once=once, watch=watch)
            )
    finally:
        shut_down()
        end_adopted()
        os.close(lock)
    if tally.unrecorded:
        return Exit.INPUT_OUTPUT, tally
    failed = once and (tally.failures or tally.unavailable)
    return (Exit.FOUND if failed else Exit.OK), tally


async def _supervise(
    loaded: Loaded,
    state: StateDir,
    journal: Journal,
    environ: MutableMapping[str, str],
    *,
    observe: Observe,
    once: bool,
    watch: bool,
) -> Tally:
    notifier = notifier_from(environ)
    if notifier.watchdog_s is not None:
        # The manager ends a process that tells nothing with SIGABRT: then say where it stood.
        faulthandler.enable()
    supervisor = Supervisor(
        loaded, state, journal, clock=SystemClock(), environ=environ, observe=observe, once=once
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.request_stop, signal.Signals(number).name)
    loop.add_signal_handler(signal.SIGHUP, _on_hangup, supervisor, _terminals())
    with watched(loaded, supervisor.reloading, supervisor.ledger) if watch else nullcontext():
        await supervisor.run(notifier)
    if supervisor.lost is not None:
        raise supervisor.lost
    return supervisor.ledger.tally


def _on_hangup(supervisor: Supervisor, started_on: Collection[int]) -> None:
    if set(started_on) <= set(_terminals()):
        supervisor.reloading.ask("SIGHUP")
    else:
        supervisor.request_stop("the terminal was closed (SIGHUP)")


def _terminals() -> list[int]:
    """Those of the three standard descriptors that are an open terminal."""
    return [descriptor for descriptor in range(3) if _is_terminal(descriptor)]


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:  # it is closed
        return False
