"""Exceptions from author's code, as the log shows them.

Worker; pure. The traceback starts at the author's first frame: what nerve and the
import machinery did before it tells an author nothing.
"""

import re
import traceback
from pathlib import Path
from types import TracebackType

import nerve
from nerve.config.secrets import Redactor
from nerve.errors import NerveError, SenseError
from nerve.sense import SoftTimeout
from nerve.wire.messages import Fault, shorten

MAX_MESSAGE_CHARS = 2_000

_OWN = str(Path(nerve.__file__).parent)
_BATTERIES = str(Path(nerve.__file__).parent / "batteries")


def describe_exception(error: BaseException, redactor: Redactor) -> Fault:
    """Turn an exception into a fault: its kind, one line, and the author's frames."""
    return Fault(
        kind=_kind(error),
        message=shorten(redactor.text(_line(error)), MAX_MESSAGE_CHARS),
        traceback=shorten(redactor.text(_frames(error))),
        hint=error.hint if isinstance(error, NerveError) else "",
        field=getattr(error, "field", ()),
    )


def _kind(error: BaseException) -> str:
    if isinstance(error, SenseError):
        return error.kind
    if isinstance(error, NerveError):  # DatabaseNewer is `database_newer`
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    return "soft_timeout" if isinstance(error, SoftTimeout) else "error"


def _line(error: BaseException) -> str:
    if isinstance(error, NerveError):
        return str(error)
    if isinstance(error, SoftTimeout):
        return "the compute did not end within its timeout"
    text = "".join(traceback.format_exception_only(error)).strip()
    return " ".join(text.split())


def _frames(error: BaseException) -> str:
    # Rules of ours that were broken: the message says all, unless the author's code was on the way.
    shown = error.__cause__ if isinstance(error, SenseError) and error.__cause__ else error
    tb = _from_author(shown.__traceback__)
    if tb is None:
        return ""
    return "".join(traceback.format_exception(type(shown), shown, tb))


def _from_author(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_ours(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def _is_ours(filename: str) -> bool:
    if filename.startswith(("<frozen importlib", "<frozen runpy")):
        return True
    if filename.startswith(_BATTERIES):
        return False
    return filename.startswith(_OWN) or filename.endswith(
        ("/asyncio/runners.py", "/asyncio/base_events.py")
    )
