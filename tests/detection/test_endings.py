"""How detection ends: at the end of a script, in the garbage collector, and in forked processes."""

import gc
import os
import subprocess
import sys
import threading

import pytest

from dbnet_jax.detection import pipeline
from dbnet_jax.detection.pipeline import ForNetwork, Stages, overlapped
from tests.helpers.brightness import BrightnessDetector, white_box
from tests.helpers.paths import ROOT

PICTURE = white_box((32, 32), 8, 8, 24, 24)

# Results of a script's own variables are left when Python has emptied the modules. A cycle lives as long.
SCRIPT = """
import os, sys, warnings
import numpy as np
from dbnet_jax.detection.pipeline import ForNetwork, Stages, overlapped

def results():
    stages = Stages(
        lambda number: ForNetwork(np.zeros((32, 32, 3), np.uint8), number),
        lambda images: {"map": images},
        lambda outputs, number: number,
    )
    return overlapped(range(100), stages, batch_size=2)

unused, left, cycle = results(), results(), [results()]
cycle.append(cycle)
print(next(left), next(cycle[0]), flush=True)
for number in results():
    break
warnings.simplefilter("ignore")  # of JAX, at a fork
child = os.fork()
if child == 0:
    try:
        next(left)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
sys.exit(3)
"""


def test_a_script_that_stops_half_way_ends_without_a_word_and_a_forked_process_with_one():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    first, refused = done.stdout.splitlines()
    assert first == "0 0"
    assert "hangs in forked processes: start it with multiprocessing.get_context('spawn')" in refused


def test_the_garbage_collector_may_end_it_in_one_of_its_own_threads(monkeypatch):
    monkeypatch.setattr(pipeline, "THREADS", 2)
    dropped = threading.Event()

    def read(number: int) -> ForNetwork[int]:
        if number > 0:
            assert dropped.wait(20)
            gc.collect()
        return ForNetwork(PICTURE, number)

    before = set(threading.enumerate())
    found = overlapped(range(100), Stages(read, lambda images: {"map": images}, lambda _, number: number), batch_size=1)
    cycle = [found]
    cycle.append(cycle)
    assert next(found) == 0
    gc.disable()  # until a thread collects
    try:
        del found, cycle
        dropped.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(20)
            assert not thread.is_alive()
    finally:
        gc.enable()


def test_a_forked_process_has_no_detector_and_makes_none(monkeypatch):
    detector, parent = BrightnessDetector(), os.getpid()
    running = detector.detect_many([PICTURE] * 9)
    next(running)
    with monkeypatch.context() as context:
        context.setattr(os, "getpid", lambda: parent + 1)
        for use in (
            lambda: detector.detect(PICTURE),
            lambda: next(running),
            lambda: detector.with_variables({}),
            BrightnessDetector,
        ):
            with pytest.raises(RuntimeError, match="spawn"):
                use()
    assert len(detector.detect(PICTURE).polygons) == 1
