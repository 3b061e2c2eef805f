"""Closing the gaps in the C heap of a process before it is forked.

Fork server. The imports leave some hundred free pieces behind, all over the heap, and a worker
would be given these first: each costs it a page of its own, copied by the kernel for a few
bytes. Once they are taken, what workers allocate lies side by side at the top. (Python's own
small objects have no such gaps to speak of.)
"""

import ctypes
from collections.abc import Iterator

LARGEST_BYTES = 64 * 1024
"""Larger pieces hold whole pages."""
FINE_BYTES = 1024
STEP_BYTES = 16
"""Blocks of up to FINE_BYTES differ in size by so much."""
MAX_BLOCKS = 10_000
"""Some hundred are needed."""


class _Statistics(ctypes.Structure):
    # struct mallinfo2: see mallinfo(3).
    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("unused", ctypes.c_size_t * 6),
        ("in_use", ctypes.c_size_t),
        ("free", ctypes.c_size_t),
        ("free_at_top", ctypes.c_size_t),
    )


def close_gaps() -> int:
    """Take what is free below the top of the heap, for ever; return how many bytes that is.

    0 where the C library is not the GNU one, or before 2.33, or another allocator stands in front
    of it (jemalloc, say, by LD_PRELOAD).
    """
    libc = ctypes.CDLL(None)
    try:
        ask = libc.mallinfo2
    except AttributeError:
        return 0
    ask.restype = _Statistics
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    before = now = ask()
    sizes = _sizes()
    size = next(sizes)
    for _ in range(MAX_BLOCKS):
        block = libc.malloc(size)
        was, now = now, ask()
        # Small ones the C library keeps at hand as blocks in use; for a large one it must show.
        is_elsewhere = size > FINE_BYTES and was.in_use == now.in_use
        if not is_elsewhere and (was.arena, was.free_at_top) == (now.arena, now.free_at_top):
            continue  # it was taken from a gap, and there may be another one
        libc.free(block)
        now = ask()
        if is_elsewhere or (size := next(sizes, 0)) == 0:
            break
    return int(now.in_use - before.in_use)


def _sizes() -> Iterator[int]:
    """Sizes of blocks, the largest first, so that each gap is taken with few of them."""
    size = LARGEST_BYTES
    while size > FINE_BYTES:
        yield size
        size //= 2
    yield from range(FINE_BYTES, 0, -STEP_BYTES)
