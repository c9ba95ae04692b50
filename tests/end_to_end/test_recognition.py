"""A recogniser is trained on rendered digits, resumed, evaluated, exported and used."""

import json

import numpy as np

from dbnet_jax.config.recognition import recognition_config
from dbnet_jax.export.weights import export_run
from dbnet_jax.recognition import Recognizer
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.weights.run_folder import load_config


def test_a_recogniser_is_trained_exported_and_used(tmp_path):
    config = recognition_config()
    config.model.update({"hidden": 8, "max_length": 12, "dtype": "bfloat16"})
    (tmp_path / "digits.txt").write_text("0123456789")
    config.model.characters = str(tmp_path / "digits.txt")
    config.data.update({"fonts": "builtin", "train_pictures": 50, "eval_pictures": 3, "crop": (32, 64)})
    config.train.update({"steps": 2, "batch_size": 8, "warmup": 0, "picture_every": 2, "log_every": 1})
    config.predict.widths = (64, 128)
    first = train_and_evaluate(config, tmp_path / "run")
    assert first["images"] == 3
    assert first["protocol"] == "words"
    assert 0 <= first["accuracy_case_sensitive"] <= first["accuracy"] <= 1
    page = (tmp_path / "run/predictions/index.html").read_text()
    assert "the worst crops" in page
    steps = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert len([step["loss"] for step in steps if np.isfinite(step.get("loss", np.nan))]) == 2
    exported = export_run(tmp_path / "run", tmp_path / "digits.safetensors", load_config(tmp_path / "run"))
    assert not exported.notes
    assert "accuracy_case_sensitive" in exported.card.read_text()
    (tmp_path / "digits.txt").unlink()  # the weights contain the characters
    crops = [np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)]
    from_file = Recognizer.from_checkpoint(tmp_path / "digits.safetensors").recognize(crops)
    assert set(from_file[0].text) <= set("0123456789")
