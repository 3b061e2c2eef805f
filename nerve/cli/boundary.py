"""Where everything that went wrong ends: in words on stderr, and an exit code.

Every command runs inside `guarded`. What a user can cause never shows a traceback.
Somebody who closes our standard output (`nerve logs | head`) has seen enough, and
that is no failure.
"""

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from nerve.cli.output import say, say_hanging, say_hint, stdout_named
from nerve.cli.wording import counted, visible, visible_lines
from nerve.errors import ConfigurationInvalid, Exit, NerveError

if TYPE_CHECKING:
    from nerve.config.faults import ConfigFaults, Fault
    from nerve.config.secrets import Redactor

DEBUG_VARIABLE = "NERVE_DEBUG"


def guarded(act: Callable[[], object]) -> int:
    """Do something; return the exit code: what it returned, or what its error ends in.

    Click's own exceptions pass: those are for click to show.
    """
    try:
        result = act()
        with stdout_named():
            sys.stdout.flush()
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except NerveError as error:
        explain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except OSError as error:
        return _input_output(error)
    except Exception as error:  # noqa: BLE001  the outermost boundary of a command
        return _internal(error)
    return result if isinstance(result, int) else Exit.OK


def explain(error: NerveError) -> None:
    """Say an error and its hint; faults of the configuration one by one, and how many."""
    if isinstance(error, ConfigurationInvalid):
        # Here, because an error of this kind means that it is imported already.
        from nerve.config.faults import ConfigFaults

        if isinstance(error, ConfigFaults):
            _explain_faults(error)
            return
    first, *rest = visible_lines(str(error)) or [type(error).__name__]
    say_hanging("nerve: ", first, "red")
    for line in rest:
        say_hanging("", line)
    if error.hint:
        say_hint(error.hint)


@contextlib.contextmanager
def masked(redactor: "Redactor") -> Iterator[None]:
    """Mask secrets in what errors from inside say: an author's code may have put them there."""
    try:
        yield
    except Exception as error:
        error.args = tuple(redactor.json(list(error.args)))
        if isinstance(error, NerveError):
            error.hint = redactor.text(error.hint)
        raise


def discard_stdout() -> None:
    """Let what is still written to stdout go nowhere, the flush at the exit included."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _explain_faults(error: "ConfigFaults") -> None:
    for fault in error.faults:
        explain_fault(fault)
    total = len(error.faults) + error.omitted
    more = f", the first {len(error.faults)} shown" if error.omitted else ""
    say_hanging("nerve: ", counted(total, "fault") + f" in the configuration{more}", "red")


def explain_fault(fault: "Fault") -> None:
    """Say one fault of the configuration, what it is beside where it is."""
    place, _, said = visible(str(fault)).partition(": ")
    say_hanging(f"{place}: ", said)


def _input_output(error: OSError) -> Exit:
    discard_stdout()
    if isinstance(error, BrokenPipeError):
        return Exit.OK
    explain(as_ours(error))
    return Exit.INPUT_OUTPUT


def _internal(error: Exception) -> Exit:
    explain(as_ours(error))
    if told := traceback_wanted(error):
        say(told)
    return Exit.INTERNAL


def as_ours(error: Exception) -> NerveError:
    """Say in our words what nobody has foreseen: a refusal of the system, or a fault of nerve."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        refused = NerveError(f"{where}{error.strerror or error}")
        refused.exit_code = Exit.INPUT_OUTPUT
        return refused
    hint = f"with {DEBUG_VARIABLE}=1 in the environment it shows the traceback; report it"
    fault = NerveError(
        f"an error of nerve itself: {type(error).__name__}: {error}",
        hint="" if traceback_wanted(error) else hint,
    )
    fault.exit_code = Exit.INTERNAL
    return fault


def traceback_wanted(error: Exception) -> str:
    """Return the traceback of an error of nerve itself where it is asked for, else nothing."""
    if isinstance(error, OSError) or not os.environ.get(DEBUG_VARIABLE):
        return ""
    return "".join(traceback.format_exception(error))
