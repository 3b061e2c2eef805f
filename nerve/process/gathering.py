"""Laying the code that every worker runs side by side, before workers are forked.

Fork server. Python counts references inside of each object, also of code that merely runs; so
a worker has a copy of its own of each page on which a piece of code lies that it runs, and what
it runs is a tenth of what it has, a piece here and a piece there. Here each of these pieces is
copied, one behind the other, and its function is given the copy.

What runs is found by a child that lives as a worker does.
"""

import array
import gc
import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import Any

from nerve.process.kernel import KillTimer

CHILD_TIMEOUT_S = 5.0
"""It takes some ten milliseconds."""
_SIZE_OF_ID = "Q"

_before: list[CodeType] = []
"""Kept, for what was freed would be gaps that workers fill, all over the heap again."""


def gather(life: Callable[[], None]) -> int:
    """Gather the code of all functions that `life` calls; return how many pieces that are.

    `life` is called in a child, and whatever comes of it there, nothing comes of it here.
    """
    ran = _ran_by(life)
    copies: dict[int, CodeType] = {}
    for function in gc.get_objects():
        if type(function) is FunctionType and id(function.__code__) in ran:
            code = function.__code__
            _before.append(code)
            if id(code) not in copies:
                copies[id(code)] = _copied(code)
            function.__code__ = copies[id(code)]
    return len(copies)


def _copied(code: CodeType) -> CodeType:
    """Copy a piece of code, and what it makes functions of when it runs."""
    constants = (_copied(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_consts=tuple(constants))


def _ran_by(life: Callable[[], None]) -> set[int]:
    """Ids of code objects, which are the same in a child that was forked."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            KillTimer().arm(CHILD_TIMEOUT_S)
            _watch(life, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        ids = told.read()  # it ends with the child, whatever happens there
    os.waitpid(child, 0)
    whole = len(ids) // array.array(_SIZE_OF_ID).itemsize * array.array(_SIZE_OF_ID).itemsize
    return set(array.array(_SIZE_OF_ID, ids[:whole]))


def _watch(life: Callable[[], None], writing: int) -> None:
    ran: set[int] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            ran.add(id(frame.f_code))

    sys.setprofile(note)
    life()
    sys.setprofile(None)
    with os.fdopen(writing, "wb") as told:
        told.write(array.array(_SIZE_OF_ID, ran).tobytes())
