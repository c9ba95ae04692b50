"""The rows of a job say what `--mode=predict` and `--mode=read` say."""

import json
import pickle

import numpy as np
import pytest

from dbnet_jax.bulk import models
from dbnet_jax.bulk.listing import list_pictures
from dbnet_jax.bulk.models import Network, TextModels
from dbnet_jax.bulk.plan import make_plan
from dbnet_jax.bulk.rows import as_parquet
from dbnet_jax.bulk.shards import ShardWorker
from dbnet_jax.commands.predict import predict_files
from dbnet_jax.config.defaults import default_config
from dbnet_jax.reader import Line, Page, Word
from dbnet_jax.transcripts.formats import as_json
from tests.helpers.brightness import BrightnessDetector, white_box
from tests.helpers.pictures import saved

parquet = pytest.importorskip("pyarrow.parquet")
pyarrow = pytest.importorskip("pyarrow")


def test_a_detectors_rows_are_those_of_predict(tmp_path, monkeypatch):
    (tmp_path / "photos/sub").mkdir(parents=True)
    for index, name in enumerate(("a.png", "sub/b.png", "sub/c.png")):
        image = white_box((80 + index, 120), 10 + index, 20, 60 + 2 * index, 50 + index)
        (tmp_path / "photos" / name).write_bytes(saved(image, "PNG"))
    (tmp_path / "photos/scan.tif").write_bytes(saved(image, "TIFF", image))  # has a note
    (tmp_path / "photos/no.png").write_bytes(b"no picture")
    detector = BrightnessDetector(resize="none")
    predict_files(detector, tmp_path / "photos", tmp_path / "predicted", ["json"])
    expected = json.loads((tmp_path / "predicted/detections.json").read_text())

    monkeypatch.setattr(models, "Detector", lambda config, variables: detector)
    job = pickle.loads(pickle.dumps(TextModels(Network.of(detector.config, {}))))
    (shard,) = make_plan(list_pictures([f"{tmp_path}/photos"], ""), 9, job.options()).shards
    ShardWorker(job, str(tmp_path)).do(shard)
    rows = [json.loads(line) for line in (tmp_path / "part-00000.jsonl").read_text().splitlines()]
    assert {row.pop("name"): row for row in rows if "error" not in row} == expected["pictures"]
    (error,) = [row["error"] for row in rows if "error" in row]
    assert error == next(iter(expected["skipped"].values())).replace(f"{tmp_path}/photos/", "")
    table = {row["name"]: row for row in parquet.read_table(tmp_path / "part-00000.parquet").to_pylist()}
    for name, picture in expected["pictures"].items():
        assert table[name]["polygons"] == [one["polygon"] for one in picture["detections"]]
        assert table[name]["notes"] == picture.get("notes", [])


def test_the_columns_of_a_reader():
    corners = np.array([[0, 0], [9, 0], [9, 5], [0, 5]], np.float32)
    words = [Word(corners + 20 * index, text, 0.5, 0.75) for index, text in enumerate(("one", "two", "三"))]
    page = Page([Line(words[:2]), Line(words[2:])], (60, 80), ("a note",))
    content = as_parquet([{"name": "a.png", **as_json(page)}, {"name": "b.png", "error": "why"}], True, {})
    read, bad = parquet.read_table(pyarrow.BufferReader(content)).to_pylist()
    assert read == {
        **{"name": "a.png", "error": None, "height": 60, "width": 80, "notes": ["a note"]},
        **{"polygons": [word.polygon.tolist() for word in words], "scores": [0.75] * 3, "text": "one two\n三"},
        **{"texts": ["one", "two", "三"], "text_scores": [0.5] * 3, "lines": [0, 0, 1]},
    }
    assert bad == dict.fromkeys(read) | {"name": "b.png", "error": "why"}


def test_the_options_of_a_job_follow_weights_and_settings_and_keep_the_password_secret():
    def options(value: float = 0, **fields: object) -> dict[str, object]:
        config = default_config()
        config.predict.update(fields)
        network = Network.of(config, {"params": {"kernel": np.full(3, value, np.float32)}})
        return TextModels(network, network).options()

    assert options() == options()
    assert options(1)["weights"] != options()["weights"] == options()["recognizer.weights"]
    assert options(box_threshold=0.5)["predict.box_threshold"] == 0.5
    assert "sesame" not in json.dumps(options(password="sesame"))
    assert options(password="sesame") != options()


@pytest.mark.parametrize("field", ["network", "lexicon"])
def test_the_options_of_a_job_follow_the_content_of_files(tmp_path, field):
    def options(content: bytes | None) -> dict[str, object]:
        config = default_config()
        with config.unlocked():
            config.predict[field] = f"{tmp_path}/file"
        if content is not None:
            (tmp_path / "file").write_bytes(content)
        return Network.of(config, {}).options()

    with pytest.raises(FileNotFoundError, match=rf"`config\.predict\.{field}` \(='{tmp_path}/file'\) is not there"):
        options(None)
    one, two = options(b"one"), options(b"two")
    assert one == options(b"one")
    assert [name for name in one if one[name] != two[name]] == [f"predict.{field} (content)"]
