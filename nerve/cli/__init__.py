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
    remote      asking the nerve that runs, over its control socket
    wakeups     when a command that follows the journal has something to read

Commands run in a process of their own; only `nerve run` becomes the parent. The
others read the files of an installation, with or without a parent beside them, and
write none that the parent or a worker owns, but with the parent's lock in hand (`db upgrade`,
`resume`). `nerve --help` imports click and
nothing larger: a command's own imports are paid by that command.
"""

import sys

from nerve.errors import Exit


def main() -> None:
    """Run the command line of this process; does not return."""
    try:
        from nerve.cli.streams import ensure_streams

        ensure_streams()
        from nerve.cli.program import program

        program(prog_name="nerve")
    except KeyboardInterrupt:  # while the imports were under way
        sys.exit(Exit.INTERRUPTED)
