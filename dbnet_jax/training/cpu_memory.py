"""Training and detection on a CPU keep their memory from step to step."""

import ctypes
import sys

import jax

# <malloc.h>
M_MMAP_MAX, M_TRIM_THRESHOLD, M_ARENA_MAX = -4, -1, -8


def keep_memory() -> None:
    """Makes this process keep freed memory for its next allocation.

    It needs Linux with glibc; elsewhere it does nothing.

    A step on a CPU takes one large piece of memory for all of its arrays, and frees it at the end. glibc gives such a
    piece back to the system. So each step gets new pages, which the system fills with zeros: an eighth of the time of
    a detection, and up to a quarter of a training step (benchmarks/README.md). From now on, steps run on the thread
    that calls them: glibc can keep that thread's memory.

    Every command of `run.py` calls it. `Detector` does not: the setting counts for the whole process, whose memory
    stays at its peak. A program that detects much calls it once, before its first use of a device.

        from dbnet_jax import Detector, keep_memory

        keep_memory()
        detector = Detector.from_pretrained()
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    # Threads have heaps of their own otherwise, and jax 0.12 may take a step's memory from any of them.
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)
