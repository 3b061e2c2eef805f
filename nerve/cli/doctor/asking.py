"""Whether a nerve that runs can be asked: its control socket."""

import os
from collections.abc import Iterator

from nerve.cli.doctor.finding import Finding, note, sound, warning
from nerve.cli.doctor.patient import Patient
from nerve.cli.remote import Refused, connect_to
from nerve.errors import NerveError
from nerve.wire.control import StatusRequest


def look_at_socket(patient: Patient) -> Iterator[Finding]:
    """Ask the nerve that runs here how it is, or look whether a dead one has left its socket."""
    pid, trouble = patient.holder, None
    if pid is not None:
        try:
            with connect_to(patient.state) as remote:
                remote.ask(StatusRequest())
        except Refused:  # which is an answer
            pass
        except NerveError as error:
            trouble = error
    yield from socket_findings(pid, trouble, is_there=os.path.lexists(patient.state.socket_path))


def socket_findings(
    pid: int | None, trouble: NerveError | None, *, is_there: bool
) -> Iterator[Finding]:
    """Say whether commands reach nerve.

    Args:
        pid: who has the lock; None for nobody.
        trouble: why that one cannot be asked.
        is_there: whether there is a file at the socket's place.
    """
    if trouble is not None:
        why = "commands that act, such as `nerve status` and `nerve pause`, do not reach it"
        yield warning(str(trouble), why=why, hint=trouble.hint)
    elif pid is not None:
        yield sound(f"process {pid} answers")
    elif is_there:
        yield note("the control socket of an earlier run is left; the next start replaces it")
    else:
        yield sound("nobody listens, as nerve does not run here")
