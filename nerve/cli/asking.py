"""Asking the nerve that runs, and showing what it says on the way.

Commands. Those that can do their work on the files, too, ask `running` first: while nerve runs its
parent alone writes them.
"""

from collections.abc import Callable

from nerve.cli.output import say_hanging
from nerve.cli.remote import NotRunning, Remote, RunsElsewhere, connect
from nerve.cli.wording import visible_lines
from nerve.config.whereabouts import Located
from nerve.errors import NerveError
from nerve.store.state_dir import StateDir
from nerve.wire.control import AnyRequest, DoneReply, ProgressReply

_COLOURS = {"warning": "yellow", "error": "red"}


def running(located: Located) -> Remote | None:
    """Connect to the nerve that runs, or return None where none does in this state directory.

    One with the same configuration that runs in another is told of.

    Raises NotRunning where one does that cannot be asked, StateForbidden where it is another's.
    """
    try:
        return connect(located)
    except RunsElsewhere as elsewhere:
        say_hanging("note: ", str(elsewhere), "yellow")
        return None
    except NotRunning:
        if StateDir(located.state_dir).holder() is None:
            return None
        raise


def ask(remote: Remote, request: AnyRequest, word: Callable[[str], str] = str) -> DoneReply:
    """Have something done, as `Remote.ask` does; what is told on the way goes to stderr.

    Args:
        remote: the nerve that runs.
        request: what is asked for.
        word: puts what it says into the words of the command.
    """
    reply = remote.ask(request, told=lambda progress: tell(progress, word))
    if not isinstance(reply, DoneReply):
        raise NerveError(f"it answers {request.type!r} with {reply.type!r}")
    return reply


def tell(progress: ProgressReply, word: Callable[[str], str] = str) -> None:
    """Say what happens on the way."""
    for line in visible_lines(word(progress.message)):
        say_hanging("", line, _COLOURS.get(progress.level))
