"""A trace of some training steps: what the host and the devices do in them, for TensorBoard's profile page."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator

import jax
from absl import logging

from dbnet_jax.messages import plural

MOST_STEPS = 100
"""Steps of a trace at most: it is in the host's memory until it is written."""


def parse_window(text: str) -> tuple[int, int] | None:
    """ "10:15" → (10, 15): from the moment when 10 steps are done to the moment when 15 are. None for "".

    **Raises:** ValueError, which names the config field, for anything else.
    """
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", text)
    start, end = map(int, found.groups()) if found else (0, 0)
    if not 1 <= start < end <= start + MOST_STEPS:
        raise ValueError(
            f"`config.train.profile_steps` (={text!r}) must be START:END as in 10:15, with 1 <= START < END and "
            f"{MOST_STEPS} steps at most. It counts the steps of this process. The first one compiles, and START is "
            "after it"
        )
    return start, end


class Profile:
    """Traces the steps of a window, and writes them to `<workdir>/tensorboard/plugins/profile/steps_FIRST_LAST`.

    Every process writes a trace of its own. Where there are many, "_process_I" is added to the name of the folder. A
    trace that cannot be written is a warning: no training ends by it.

        with Profile(workdir, "10:15", wait, print) as profile:
            for step in range(first, last):
                with profile.step(step):
                    …

    A context manager: a trace that is open when the run ends, also by an error or a signal, is written.

    **Arguments:**

    - `workdir`: the run's folder.
    - `window`: see `parse_window`. The steps are counted from the first one of this process.
    - `wait`: returns when the steps so far are done on the devices.
    - `message`: prints a line.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        window: str,
        wait: Callable[[], object],
        message: Callable[[str], None],
    ):
        self._folder = os.path.join(workdir, "tensorboard")  # JAX writes to gs:// too
        self._wait, self._message = wait, message
        self._start, self._end = parse_window(window) or (-1, -1)
        self._done, self._name, self._open = 0, "", False

    @contextlib.contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Wraps a step; `step` is its number in the run."""
        if self._done == self._start:
            self._wait()
            self._begin(step)
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            yield
        self._done += 1
        if self._open and self._done == self._end:
            self._wait()
            self._write()

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *error: object) -> None:
        if self._open:
            self._write()
        elif self._done < self._start:
            self._message(f"no profile: the run took {plural(self._done, 'step')}, and the profile starts after more")

    def _begin(self, step: int) -> None:
        options = jax.profiler.ProfileOptions()
        # A call of each Python function in every thread is too much: it would slow down what is measured.
        options.python_tracer_level = 0
        self._name = f"steps_{step}_{step + self._end - self._start - 1}"
        if jax.process_count() > 1:
            self._name += f"_process_{jax.process_index()}"
        options.session_id = self._name
        try:
            jax.profiler.start_trace(self._folder, profiler_options=options)
            self._open = True
        except Exception as error:
            logging.warning("no profile: %s", error)

    def _write(self) -> None:
        self._open = False
        try:
            jax.profiler.stop_trace()
        except Exception as error:
            logging.warning("the profile is not written in %s: %s", self._folder, error)
        else:
            self._message(f"profile: {self._folder}/plugins/profile/{self._name}")
