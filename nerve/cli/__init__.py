"""The command line.

    streams     stdin, stdout and stderr are there, or /dev/null in their place
    program     the table of commands; each is imported when it is used
    boundary    errors become exit codes and a line for a person
    settings    the configuration a command was pointed at
    output      what goes to stdout, which is data, and to stderr, which is talk
    wording     payloads and names as text that is safe to show
    journal     opening the journal, or saying why there is none to read
    quarantines which senses are in quarantine, from the journal
    timeline    reading the journal, by pages and live
    live        what the running nerve says of single senses
    sheet       cells, columns and styles of a screen, and canvas: a whole terminal to draw it on
    completion  how a command line may go on, for shells
    remote      asking the nerve that runs, over its control socket
    wakeups     when a command that follows the journal has something to read

Commands run in a process of their own; only `nerve run` becomes the parent. The
others read the files of an installation, with or without a parent beside them, and
write none that the parent or a worker owns, but with the parent's lock in hand (`db upgrade`,
`resume`). `nerve --help` imports click and
nothing larger: a command's own imports are paid by that command.
"""

import gc
import os
import sys

from nerve.errors import Exit

COMPLETION_VARIABLE = "_NERVE_COMPLETE"


def main() -> None:
    """Run the command line of this process; returns only to a shell that asked for completions."""
    # Imports make a lot that stays and little that goes: looked through again and again, a tenth of
    # their time. `program` lets the collector begin when its command is imported.
    gc.disable()
    try:
        from nerve.cli.streams import ensure_streams

        ensure_streams()
        if COMPLETION_VARIABLE in os.environ:  # a shell asks how a line may go on
            from nerve.cli.completion import complete

            complete()
            return
        from nerve.cli.program import program

        program(prog_name="nerve")
    except KeyboardInterrupt:  # while the imports were under way
        sys.exit(Exit.INTERRUPTED)
    finally:
        gc.enable()
