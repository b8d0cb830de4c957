"""Memory that a CPU's tensors come from: what was freed stays with the process, and is used again.

The allocator of glibc hands large blocks back to the system, and takes new ones, at every operation; each new page is
then cleared and mapped at its first touch. For a small model, whose tensors live for one operation, that takes as long
as a good part of its arithmetic (`benchmarks/allocation.py`). The price: the process keeps the memory of its largest
moment.
"""

from __future__ import annotations

import ctypes
from typing import Final

# Names and numbers of glibc's malloc.h.
TRIM_THRESHOLD: Final = -1
MMAP_THRESHOLD: Final = -3
LARGEST: Final = 2**30  # bytes; larger blocks come from the system and go back to it


def keep_freed_memory() -> bool:
    """Let the process keep freed memory, from now on.

    Returns:
        Whether it does; not where the allocator is another than glibc's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another libc; no libc to be opened by None on Windows
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))
