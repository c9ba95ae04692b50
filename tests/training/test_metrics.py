"""Numbers of a run: JSON lines that survive a kill, and TensorBoard."""

import json
import struct
import sys

import cv2
import numpy as np
import pytest

from dbnet_jax.training.metrics import MetricsLog
from tests.helpers.full_disk import files_of_at_most


def _lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def _events(file):
    """The events of one TensorBoard file: length, its checksum, the message, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data, position = file.read_bytes(), 0
    while position < len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        yield Event.FromString(data[position + 12 : position + 12 + length])
        position += 12 + length + 4


def test_a_line_a_call_at_once_readable(tmp_path):
    with MetricsLog(tmp_path / "run") as log:
        log.scalars(1, {"loss": np.float32(0.5), "learning_rate": 0.007})
        assert _lines(tmp_path / "run") == [{"step": 1, "loss": 0.5, "learning_rate": 0.007}]
        log.scalars(2, {"loss": float("nan"), "hmean": 1})
    text = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    assert text.splitlines()[1] == '{"step": 2, "loss": null, "hmean": 1.0}'


def test_a_value_named_step_is_refused(tmp_path):
    with MetricsLog(tmp_path) as log, pytest.raises(ValueError, match='"step"'):
        log.scalars(1, {"step": 2.0})


def test_resuming_drops_the_steps_that_will_be_taken_again(tmp_path):
    with MetricsLog(tmp_path) as log:
        for step in range(10, 60, 10):
            log.scalars(step, {"loss": step / 100})
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 60, "lo')
    with MetricsLog(tmp_path, resume_step=30) as log:
        for step in (40, 50):
            log.scalars(step, {"loss": 9.0})
    assert [line["step"] for line in _lines(tmp_path)] == [10, 20, 30, 40, 50]
    assert [line["loss"] for line in _lines(tmp_path)] == [0.1, 0.2, 0.3, 9.0, 9.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "tensorboard"]


@pytest.mark.parametrize("torn", [b'{"step": 2, "loss": 0.', b'{"step": 2}', b"\x00\x00\x00\n", b"3\n", b"{}\n"])
def test_a_torn_line_is_dropped_with_and_without_resuming(tmp_path, torn):
    for resume_step in (None, 5):
        (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "loss": 0.5}\n' + torn)
        with MetricsLog(tmp_path, resume_step=resume_step) as log:
            log.scalars(7, {"loss": 0.25})
        assert _lines(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 7, "loss": 0.25}]


def test_tensorboard_gets_scalars_and_pictures_and_a_resumed_run_hides_the_old_steps(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    with MetricsLog(tmp_path) as log:
        log.scalars(3, {"loss/total": 0.5})
        log.picture(3, "validation/0", image)
    with MetricsLog(tmp_path, resume_step=2) as log:
        log.scalars(3, {"loss/total": 0.75})
    first, second = sorted((tmp_path / "tensorboard").iterdir(), key=lambda file: "from2" in file.name)
    values = {value.tag: (event.step, value) for event in _events(first) for value in event.summary.value}
    assert values["loss/total"][0] == 3
    assert values["loss/total"][1].simple_value == 0.5
    step, shown = values["validation/0"]
    assert (step, shown.image.height, shown.image.width) == (3, 6, 9)
    png = np.frombuffer(shown.image.encoded_image_string, np.uint8)
    assert (cv2.cvtColor(cv2.imdecode(png, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) == image).all()
    # A session that starts at step 3 hides the steps of the earlier file from 3 on.
    starts = [event.step for event in _events(second) if event.HasField("session_log")]
    assert starts == [3]


def test_a_full_disk_is_named_and_what_was_written_before_goes_on(tmp_path):
    def write() -> None:
        with MetricsLog(tmp_path) as log:
            for step in range(1000):
                log.scalars(step, {f"value {number}": number for number in range(20)})

    with files_of_at_most(1000), pytest.raises(OSError, match="File too large") as caught:
        write()
    assert caught.value.filename == str(tmp_path / "metrics.jsonl")
    with MetricsLog(tmp_path) as log:
        log.scalars(1000, {"loss": 1.0})
    steps = [line["step"] for line in _lines(tmp_path)]
    assert steps == [*range(len(steps) - 1), 1000]


def test_a_full_disk_does_not_hang_tensorboard(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)

    def write() -> None:
        with MetricsLog(tmp_path) as log:
            for step in range(30):  # more than a queue takes
                log.picture(step, "picture", image)

    with files_of_at_most(1000), pytest.raises(OSError, match="File too large") as caught:
        write()
    assert caught.value.filename == str(tmp_path / "tensorboard")


def test_disabled_it_writes_nothing(tmp_path):
    with MetricsLog(tmp_path / "run", enabled=False) as log:
        log.scalars(1, {"loss": 0.5})
        log.picture(1, "x", np.zeros((2, 2, 3), np.uint8))
    assert not (tmp_path / "run").exists()


def test_without_tensorboardx_the_lines_go_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with MetricsLog(tmp_path) as log:
        log.scalars(1, {"loss": 0.5})
        log.picture(1, "x", np.zeros((2, 2, 3), np.uint8))
    assert _lines(tmp_path) == [{"step": 1, "loss": 0.5}]
    assert not (tmp_path / "tensorboard").exists()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "tensorboardX" in caplog.text


def test_closing_twice_is_harmless(tmp_path):
    log = MetricsLog(tmp_path)
    log.close()
    log.close()
