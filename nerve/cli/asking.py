"""Asking the nerve that runs, and showing what it says on the way.

Commands. Those that can do their work on the files, too, ask `running` first: while nerve runs its
parent alone writes them.
"""

import click

from nerve.cli.output import say
from nerve.cli.remote import NotRunning, Remote, connect
from nerve.cli.wording import visible_lines
from nerve.config.whereabouts import Located
from nerve.errors import NerveError
from nerve.store.state_dir import StateDir
from nerve.wire.control import AnyRequest, DoneReply, ProgressReply

_COLOURS = {"warning": "yellow", "error": "red"}


def running(located: Located) -> Remote | None:
    """Connect to the nerve that runs, or return None where none does.

    Raises NotRunning where one does that cannot be asked, StateForbidden where it is another's.
    """
    try:
        return connect(located)
    except NotRunning:
        if StateDir(located.state_dir).holder() is None:
            return None
        raise


def ask(remote: Remote, request: AnyRequest) -> DoneReply:
    """Have something done, as `Remote.ask` does; what is told on the way goes to stderr."""
    reply = remote.ask(request, told=tell)
    if not isinstance(reply, DoneReply):
        raise NerveError(f"it answers {request.type!r} with {reply.type!r}")
    return reply


def tell(progress: ProgressReply) -> None:
    """Say what happens on the way."""
    for line in visible_lines(progress.message):
        colour = _COLOURS.get(progress.level)
        say(click.style(line, fg=colour) if colour else line)
