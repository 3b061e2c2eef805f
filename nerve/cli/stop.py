"""`nerve stop`: have the nerve that runs stop, and wait until it is gone.

What is waited for is the end of the process, and where that cannot be seen from here, as in
another container, that it holds the state directory no longer.
"""

import contextlib
import os
import select
import time

import click

from nerve.cli.asking import ask
from nerve.cli.journal import open_journal
from nerve.cli.output import emit, emit_json, json_option, say_hanging, say_hint
from nerve.cli.remote import NotRunning, Remote, RunsElsewhere, connect
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import visible
from nerve.clock import MS_PER_S
from nerve.config.durations import format_duration, parse_duration
from nerve.config.whereabouts import Located
from nerve.errors import NerveError, StateError
from nerve.store.state_dir import StateDir
from nerve.wire.control import DoneReply, StopRequest

LOOK_EVERY_S = 0.1
"""Where only the lock tells that nerve is gone."""
_WITHIN_S = 300.0
"""Where nerve does not say within what time it should be gone."""
MAX_WAIT_S = 7 * 24 * 3600.0
"""However long `--timeout` is: poll() takes no more than 24 days."""


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve stop                               as SIGTERM does: computes may end\n"
    "  nerve stop --now                         kill what runs\n"
    "\nAs with SIGTERM, a second `nerve stop` stops at once. Ctrl-C ends the waiting alone.\n"
    "\nExit codes: 0 it is gone, 1 that takes longer than it should, 69 no nerve runs."
)
@click.option("--now", is_flag=True, help="Do not wait for running computes.")
@click.option("--timeout", metavar="DURATION", help="How long to wait for the end, e.g. 30s.")
@json_option
@config_options
@click.pass_obj
def stop(settings: Settings, now: bool, timeout: str | None, as_json: bool) -> None:
    """Stop the nerve that runs, and wait until it is gone."""
    located = settings.whereabouts()
    timeout_s = None if timeout is None else _seconds(timeout)
    began = time.monotonic()
    try:
        connected = connect(located)
    except RunsElsewhere:
        raise
    except NotRunning as error:
        if StateDir(located.state_dir).holder() is None:
            error.hint = "there is nothing to stop; `nerve status` tells how it ended"
        raise
    with connected as remote:
        gone = _Gone(located, remote)
        with gone:
            reply = ask(remote, StopRequest(now=now))
            say_hanging("", visible(reply.message))
            gone.wait(min(_allowed_s(reply) if timeout_s is None else timeout_s, MAX_WAIT_S))
    _show(located, remote.pid, reply, time.monotonic() - began, as_json=as_json)


def _seconds(timeout: str) -> float:
    try:
        return parse_duration(timeout) / MS_PER_S
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from error


def _allowed_s(reply: DoneReply) -> float:
    within_s = reply.facts.get("within_s")
    return float(within_s) if isinstance(within_s, int | float) else _WITHIN_S


class _Gone(contextlib.AbstractContextManager["_Gone"]):
    """Watches a process from before it is told to end: its number may then be another's."""

    def __init__(self, located: Located, remote: Remote) -> None:
        self._state = StateDir(located.state_dir)
        self._pid = remote.pid
        self._descriptor = -1
        with contextlib.suppress(OSError):  # gone, or in another pid namespace
            self._descriptor = os.pidfd_open(remote.pid)

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def wait(self, timeout_s: float) -> None:
        """Wait for the end; raises NerveError when it does not come in time."""
        give_up = time.monotonic() + timeout_s
        if self._descriptor >= 0:
            waiting = select.poll()
            waiting.register(self._descriptor, select.POLLIN)
            is_gone = bool(waiting.poll(timeout_s * MS_PER_S))
        else:
            while not (is_gone := self._state.holder() is None) and time.monotonic() < give_up:
                time.sleep(LOOK_EVERY_S)
        if not is_gone:
            after = format_duration(int(timeout_s * MS_PER_S))
            message = f"process {self._pid} has not ended within {after}"
            raise NerveError(message, hint="`nerve stop --now` kills what still runs in it")


def _show(located: Located, pid: int, reply: DoneReply, seconds: float, *, as_json: bool) -> None:
    ended = _ended(located, str(reply.facts.get("boot", "")))
    if as_json:
        facts = {"pid": pid, "boot": reply.facts.get("boot"), "ended": ended}
        emit_json({**facts, "seconds": round(seconds, 3)})
    elif ended == "stopped":
        emit(f"nerve (process {pid}) has stopped, after {seconds:.1f} s")
    else:
        emit(f"nerve (process {pid}) is gone, and has not noted how it ended")
        say_hint("the next start sees to what it left; `nerve logs` tells how far it came")


def _ended(located: Located, boot: str) -> str | None:
    """What the journal says of the end of a run; None where it says nothing."""
    with contextlib.suppress(StateError), open_journal(located) as reader:
        row = reader.execute("SELECT ended FROM boots WHERE boot = ?", (boot,)).fetchone()
        return None if row is None else row[0]
    return None
