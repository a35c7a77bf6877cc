"""Memory on the CPU: keep what the C library would give back to the kernel after each step."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's parameters (glibc's malloc.h)


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the process; returns whether it does.

    A step frees its activations; by default much of that goes back to the kernel, and the next step pays for it page
    fault by page fault. The numbers computed are the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # The largest values glibc accepts: 32 MiB for a block of its own mapping, 2 GiB to keep free at the top.
    return bool(mallopt(_MMAP_THRESHOLD, 32 << 20)) and bool(mallopt(_TRIM_THRESHOLD, (1 << 31) - 1))
