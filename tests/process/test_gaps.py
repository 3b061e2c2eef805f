"""The C heap, before it is shared with workers."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
from nerve.process.gaps import close_gaps

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(700) for _ in range(2_000)]
for block in blocks[::2]:
    libc.free(ctypes.c_void_p(block))
closed = close_gaps()
again = close_gaps()
between = sum(blocks[0] < libc.malloc(size) < blocks[-1] for size in range(8, 4_000, 8))
print(closed, again, between)
"""


def test_gaps_are_closed_and_what_comes_later_lies_behind_them():
    """Each would cost every worker a page of its own."""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("the C library tells nothing of its heap")
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    closed, again, between = map(int, told.stdout.split())
    assert closed >= 700 * 1_000
    assert again < closed / 10
    assert between == 0
