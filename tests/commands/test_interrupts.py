"""Ctrl-C ends a command, wherever Python is when it comes."""

import gc
import signal
import subprocess
import sys
import time

import pytest

from dbnet_jax.commands.interrupts import ctrl_c_ends
from tests.helpers.paths import ROOT


class Destructor:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def in_the_garbage_collector() -> None:
    """As JAX does, whose callback is Python too."""

    def callback(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(callback)
        signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(callback)
    gc.collect()


def in_a_destructor() -> None:
    Destructor()


def in_plain_code() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("interrupt", [in_the_garbage_collector, in_a_destructor, in_plain_code])
def test_ctrl_c_ends_a_command_wherever_it_comes(interrupt):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)], sys.unraisablehook

    @ctrl_c_ends()
    def command() -> None:
        interrupt()
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        command()
    # A second one ends the process at once.
    assert signal.signal(signal.SIGINT, before[0][0]) is signal.SIG_DFL
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)], sys.unraisablehook
    assert after == before


def test_a_second_ctrl_c_ends_a_process_that_is_still_ending():
    program = (
        "import time\nfrom dbnet_jax.commands.interrupts import ctrl_c_ends\n"
        "with ctrl_c_ends():\n    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('ending', flush=True)\n        time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for word in ("ready", "ending"):
        assert process.stdout.readline().strip() == word
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGINT
    process.stdout.close()


def test_an_interrupted_command_ends_without_pythons_own_end():
    # Python waits for its threads there, and crashes under those of JAX.
    program = (
        "import atexit, pathlib, signal, threading, time\nfrom dbnet_jax.commands import main\n"
        "main.dispatch = lambda options: signal.raise_signal(signal.SIGINT)\n"
        "atexit.register(print, 'too late')\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print('done so far')\nmain.run(['--mode=predict'], pathlib.Path())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (130, "done so far\n")
    assert done.stderr == "interrupted: the command is not done\n"


def test_other_exceptions_that_nobody_catches_are_printed_as_before(monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: printed.append(str(lost.exc_value)))

    class Failing:
        def __init__(self, text: str) -> None:
            self.text = text

        def __del__(self) -> None:
            raise RuntimeError(self.text)

    with ctrl_c_ends():
        Failing("a fault")
        Failing("Event loop is closed")  # of a save that failed
    assert printed == ["a fault"]


def test_a_thread_of_a_notebook_goes_without(monkeypatch):
    monkeypatch.setattr("threading.main_thread", lambda: None)
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c_ends():
        assert signal.getsignal(signal.SIGINT) is before
