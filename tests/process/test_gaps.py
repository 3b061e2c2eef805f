"""The C heap, before it is shared with workers."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

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


ANOTHER_ALLOCATOR = """
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Takes from the kernel, a piece at a time; nothing comes back. */
static char *next, *end;

void *malloc(size_t size) {
    size_t whole = (size + 31) & ~(size_t)15, piece = 1 << 24;
    if (!next || (size_t)(end - next) < whole) {
        if (whole > piece) piece = whole;
        next = mmap(0, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        end = next + piece;
    }
    *(size_t *)next = size;
    next += whole;
    return next - whole + 16;
}
void free(void *block) {}
void *calloc(size_t number, size_t size) { return malloc(number * size); }
void *realloc(void *block, size_t size) {
    size_t before = block ? ((size_t *)block)[-2] : 0;
    void *moved = malloc(size);
    if (block) memcpy(moved, block, before < size ? before : size);
    return moved;
}
"""

TAKEN = """
import sys
from nerve.process.gaps import close_gaps

def mapped():
    return int(open("/proc/self/statm").read().split()[5]) * 4096

before = mapped()
print(close_gaps(), mapped() - before)
"""


def test_another_allocator_is_left_alone(tmp_path: Path):
    """The C library sees nothing of what that gives, so each block looked like one from a gap.

    Ten thousand of 64 KiB count for the memory of every worker.
    """
    compiler = shutil.which("cc")
    if compiler is None or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("no compiler, or no GNU C library")
    source, library = tmp_path / "another.c", tmp_path / "another.so"
    source.write_text(ANOTHER_ALLOCATOR)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-fno-builtin", "-O1", "-o", str(library), str(source)],
        check=True,
    )
    told = subprocess.run(
        [sys.executable, "-c", TAKEN],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LD_PRELOAD": str(library)},
    )
    taken, more = map(int, told.stdout.split())
    assert taken == 0
    assert more <= 2**25
