"""A step on a CPU must not take its memory anew from the system at every step."""

import ctypes
import subprocess
import sys

import pytest

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")

# Faults of one step, the median of nine, that needs 64 MB beside its argument: 16384 pages of 4 KB.
PROGRAM = """
import resource
import statistics
import sys
import jax
import jax.numpy as jnp
from dbnet_jax import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
step = jax.jit(lambda x: jax.lax.optimization_barrier(jnp.sin(x)).sum())
x = jnp.ones(2**24)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(statistics.median(faults() for _ in range(9)))
"""


@pytest.mark.skipif(not GLIBC, reason="it speaks to glibc's allocator")
def test_a_step_finds_the_memory_of_the_one_before():
    faults = {word: int(subprocess.check_output([sys.executable, "-c", PROGRAM, word])) for word in ("keep", "free")}
    assert faults["keep"] < 500 < faults["free"]
