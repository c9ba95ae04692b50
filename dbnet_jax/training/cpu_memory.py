"""A training on a CPU keeps its memory from step to step."""

import ctypes
import sys

import jax

# <malloc.h>
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1


def keep_memory() -> None:
    """Makes this process keep freed memory for its next allocation, where a CPU computes and the C library is glibc.

    A step on a CPU takes one large piece of memory for all of its arrays, more than a gigabyte for a ResNet-50, and
    frees it at the end. glibc gives such a piece back to the system, so each step finds its pages new and zeroed again:
    a quarter of its time (benchmarks/README.md). Steps run on the thread that calls them from now on, whose memory
    glibc can keep.

    Must be called before the first use of a device; on an accelerator nothing is left of it but the memory kept.
    Elsewhere than on Linux with glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
