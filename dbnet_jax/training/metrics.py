"""What a run leaves behind of its numbers: one JSON line a call, and the same in TensorBoard."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, SupportsFloat

import cv2
import numpy as np
from absl import logging
from jaxtyping import UInt8

from dbnet_jax.files import naming, write_atomically
from dbnet_jax.paths import as_path, in_bucket

_FLUSH_SECONDS = 15  # between two writes to TensorBoard's file, and to an object in a bucket
_LARGE = 2**24  # bytes of TensorBoard's object in a bucket, after which the next one begins


class _Growing(Protocol):
    """What grows while a run logs: a file on a disk, or an object in a bucket."""

    def write(self, data: bytes, /) -> int | None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _Object:
    """An object in a bucket that grows. A bucket cannot append: each flush writes it anew, and whole."""

    def __init__(self, path: Path, content: bytes = b"") -> None:
        self._path, self._content, self._written = path, bytearray(content), len(content)

    def write(self, data: bytes) -> int:
        self._content += data
        return len(data)

    def flush(self) -> None:
        if len(self._content) > self._written:
            self._path.write_bytes(bytes(self._content))
            self._written = len(self._content)

    def close(self) -> None:
        self.flush()


class MetricsLog:
    """Appends to `<workdir>/metrics.jsonl` and `<workdir>/tensorboard`; in a bucket every few seconds, and at `flush`.

    A killed run may have logged steps after its last checkpoint, which the restarted run will take again.
    `resume_step` drops those, so that every step stands in the file once and in order.

        with MetricsLog(workdir, enabled=jax.process_index() == 0, resume_step=state.step) as log:
            log.scalars(step, {"loss": loss})

    **Arguments:**

    - `workdir`: made if it does not exist.
    - `enabled`: False on all hosts but the first: nothing is written.
    - `resume_step`: the last step whose lines are kept; None keeps all. Either way lines that a kill
      left torn are dropped.
    """

    def __init__(
        self, workdir: str | os.PathLike[str], *, enabled: bool = True, resume_step: int | None = None
    ) -> None:
        self._file: _Growing | None = None
        self._flushed = 0.0
        self._tensorboard: _EventFile | None = None
        if not enabled:
            return
        folder = as_path(workdir)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "metrics.jsonl"
        kept = _trim(self._path, resume_step)
        # Without a buffer: what a full disk did not take is not written again when the file is closed.
        self._file = _Object(self._path, kept) if in_bucket(self._path) else self._path.open("ab", buffering=0)
        self._tensorboard = _open_tensorboard(folder / "tensorboard", resume_step)

    def scalars(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Writes one line `{"step": …, name: value, …}`; a value that is not finite becomes null.

        **Raises:** `ValueError` for a value named "step", which would hide the line's own.
        """
        if "step" in values:
            raise ValueError('`values` must not hold a value named "step": it names the line\'s step')
        if self._file is None:
            return
        numbers = {name: float(value) for name, value in values.items()}
        line = {"step": int(step)} | {name: v if math.isfinite(v) else None for name, v in numbers.items()}
        # One write, so that a kill tears the last line at most.
        rest = (json.dumps(line, allow_nan=False) + "\n").encode()
        with naming(self._path):
            while rest:  # a disk that gets full takes a part
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._file.flush()
                self._flushed = time.monotonic()
        if self._tensorboard is not None:
            self._tensorboard.add(int(step), [{"tag": name, "simple_value": value} for name, value in numbers.items()])

    def picture(self, step: int, name: str, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Shows an RGB picture in TensorBoard."""
        if self._tensorboard is None:
            return
        from tensorboardX.proto.summary_pb2 import Summary

        # tensorboardX would encode with Pillow, which nothing else here needs.
        encoded, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if not encoded:
            raise ValueError(f"`image` (of shape {image.shape}) could not be encoded as PNG")
        height, width, channels = image.shape
        content = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=png.tobytes())
        self._tensorboard.add(int(step), [{"tag": name, "image": content}])

    def flush(self) -> None:
        """Writes out what is pending."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Writes out what is pending; may be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _trim(path: Path, resume_step: int | None) -> bytes:
    """Drops the lines after `resume_step` and torn ones; the file is replaced in one move.

    **Returns:** the lines that are left.
    """
    if not path.exists():
        return b""
    lines = path.read_bytes().splitlines(keepends=True)
    steps = [_step(line) for line in lines]
    kept = [
        line
        for line, step in zip(lines, steps, strict=True)
        if step is not None and (resume_step is None or step <= resume_step)
    ]
    if None in steps:
        logging.warning("%s: dropped %d unreadable line(s)", path, steps.count(None))
    content = b"".join(kept)
    if kept != lines:
        write_atomically(path, content)
    return content


def _step(line: bytes) -> int | None:
    """The step of a whole line, None for a torn one."""
    try:
        return int(json.loads(line)["step"]) if line.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError):
        return None


class _EventFile:
    """One file of TensorBoard's events, written by the calling thread, which so gets the errors of a full disk.

    The writer of tensorboardX has a thread of its own. It ends at an error, and then its queue waits for ever.
    """

    def __init__(self, folder: Path, resume_step: int | None) -> None:
        from tensorboardX import event_file_writer, record_writer
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        if in_bucket(folder):  # the package's own writers need other libraries than the rest of a run
            record_writer.register_writer_factory(str(folder).partition(":")[0], _Objects())
        self._new_writer = event_file_writer.EventsWriter
        folder.mkdir(exist_ok=True)
        self._folder, self._flushed, self._count = folder, 0.0, 0
        # Event files are named by the second: the suffix keeps a run resumed at once from writing over the first.
        self._suffix = "" if resume_step is None else f".from{resume_step}"
        self._writer = self._open()
        if resume_step is not None:
            # TensorBoard hides the steps of earlier files from this step on.
            session = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(step=resume_step + 1, wall_time=time.time(), session_log=session))

    def _open(self) -> Any:
        # In a bucket, later files have a number, for the same reason.
        number, self._bytes, self._count = f".{self._count}" if self._count else "", 0, self._count + 1
        return self._new_writer(str(self._folder / "events"), self._suffix + number)

    def add(self, step: int, values: Sequence[Mapping[str, Any]]) -> None:
        """Writes values of a step, each the fields of a `Summary.Value`."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value) for value in values])
        with naming(self._folder):
            event = Event(step=step, wall_time=time.time(), summary=summary)
            self._writer.write_event(event)
            self._bytes += event.ByteSize()
            if in_bucket(self._folder) and self._bytes > _LARGE:
                self._writer.close()
                self._writer = self._open()
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._writer.flush()
                self._flushed = time.monotonic()

    def close(self) -> None:
        with naming(self._folder):
            self._writer.close()


class _Objects:
    """Opens TensorBoard's files in a bucket for tensorboardX."""

    def open(self, path: str) -> _Object:
        return _Object(as_path(path))


def _open_tensorboard(folder: Path, resume_step: int | None) -> _EventFile | None:
    """An event file, or None where tensorboardX is missing; a run does not need it."""
    try:
        return _EventFile(folder, resume_step)
    except ImportError:
        logging.warning("tensorboardX is not installed: metrics go to metrics.jsonl alone")
        return None
