"""Exceptions from author's code, as the log shows them.

Worker; pure. A traceback begins and ends with a frame of the author's: what nerve, the
libraries below it and the import machinery did tells an author nothing that the
message does not tell. Where no such frame is, there is no traceback. Files within the
folder of nerve.yaml are named as they are called there.
"""

import re
import sysconfig
import traceback
from pathlib import Path

import alembic
import pydantic
import sqlalchemy
from sqlalchemy.exc import OperationalError

import nerve
from nerve.config.secrets import Redactor
from nerve.errors import NerveError, SenseError, StateError
from nerve.sense import SoftTimeout
from nerve.wire.messages import Fault, FieldProblem, shorten
from nerve.worker.loader import SettingsInvalid

MAX_MESSAGE_CHARS = 2_000

MAX_CHAIN = 5
"""Exceptions of one chain that are shown, the last ones."""

_BATTERIES = str(Path(nerve.__file__).parent / "batteries") + "/"
_BACKGROUND = re.compile(r"\n?\(Background on this error at: https://sqlalche\.me/\S+\)")
"""What SQLAlchemy adds to its errors: a page about all errors of a kind."""
_STDLIB = sysconfig.get_path("stdlib") + "/"
_LIBRARIES = tuple(
    f"{Path(str(package.__file__)).parent}/" for package in (nerve, sqlalchemy, alembic, pydantic)
)


def describe_exception(error: BaseException, redactor: Redactor, folder: str = "") -> Fault:
    """Turn an exception into a fault: its kind, one line, and the author's frames.

    `folder` is that of nerve.yaml, absolute; without one all paths stay as they are.
    """
    return Fault(
        kind=_kind(error),
        message=shorten(redactor.text(writable(_line(error))), MAX_MESSAGE_CHARS),
        traceback=shorten(redactor.text(writable(_relative(_frames(error), folder)))),
        hint=error.hint if isinstance(error, NerveError) else "",
        problems=_problems(error, redactor),
    )


def lacks_a_table(error: BaseException) -> bool:
    """Whether SQL named a table or a column that is not there."""
    return isinstance(error, OperationalError) and any(
        told in str(error.orig) for told in ("no such table", "no such column", "has no column")
    )


def writable(text: str) -> str:
    """Spell out what UTF-8 cannot hold: names of files may have half characters in them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _relative(frames: str, folder: str) -> str:
    return frames.replace(f'File "{folder}/', 'File "') if folder else frames


def _problems(error: BaseException, redactor: Redactor) -> tuple[FieldProblem, ...]:
    if not isinstance(error, SettingsInvalid):
        return ()
    return tuple(
        FieldProblem(field=p.field, message=redactor.text(p.message), hint=p.hint)
        for p in error.problems
    )


def _kind(error: BaseException) -> str:
    if isinstance(error, SenseError):
        return error.kind
    if isinstance(error, StateError) and error.fault:
        return error.fault
    if isinstance(error, NerveError):  # DatabaseNewer is `database_newer`
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    return "soft_timeout" if isinstance(error, SoftTimeout) else "error"


def _line(error: BaseException) -> str:
    if isinstance(error, NerveError):
        return str(error)
    if isinstance(error, SoftTimeout):
        return "the compute did not end within its timeout"
    text = _BACKGROUND.sub("", "".join(traceback.format_exception_only(error)).strip())
    return " ".join(text.split())


def _frames(error: BaseException) -> str:
    """The chain of exceptions, as far as it passed through the author's code."""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    parts: list[str] = []
    for link in _chain(shown):
        link.stack = traceback.StackSummary.from_list(_authors(link.stack))
        if link.stack:
            link.__cause__ = link.__context__ = None
            parts.append(_BACKGROUND.sub("", "".join(link.format())))
    return "\nand then\n\n".join(parts)


def _chain(shown: traceback.TracebackException) -> list[traceback.TracebackException]:
    """The exception and what led to it, first cause first."""
    chain = [shown]
    while len(chain) < MAX_CHAIN:
        link = chain[0]
        earlier = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if earlier is None:
            break
        chain.insert(0, earlier)
    return chain


def _authors(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """From the author's first frame to the last one; what they passed through between stays."""
    places = [at for at, frame in enumerate(stack) if not _is_library(frame.filename)]
    return stack[places[0] : places[-1] + 1] if places else []


def _is_library(filename: str) -> bool:
    if filename.startswith(_BATTERIES):
        return False
    if filename.startswith("<frozen "):
        return True
    in_stdlib = filename.startswith(_STDLIB) and "site-packages" not in filename
    return in_stdlib or filename.startswith(_LIBRARIES)
