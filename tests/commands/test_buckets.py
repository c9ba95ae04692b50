"""Every command reads from a bucket and writes to one what it writes to a disk."""

import json
import signal
import time

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from dbnet_jax.commands.convert import configure
from dbnet_jax.commands.main import run
from dbnet_jax.commands.pictures import pictures_of
from dbnet_jax.config.defaults import default_config
from dbnet_jax.models import create_model
from dbnet_jax.models.variables import variable_shapes
from dbnet_jax.reader import Page
from dbnet_jax.torch_weights import export_torch_weights
from dbnet_jax.train import train_and_evaluate
from dbnet_jax.training.checkpoint import has_checkpoint
from dbnet_jax.transcripts.searchable_pdf import SearchablePdfs
from dbnet_jax.weights.file import load_weights
from dbnet_jax.weights.initial import initial_variables
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import white_box
from tests.helpers.buckets import contents, upload
from tests.helpers.pictures import write


def without_places(files: dict[str, bytes]) -> dict[str, object]:
    """Files without what a run's time and place change."""
    return {name: data for name, data in files.items() if name != ".dbnet_jax.json"}


def test_predict_writes_the_same_files_to_a_bucket(bucket, tmp_path, cli):
    for name in ("a.png", "in/b.png", "in/.hidden.png", "in/broken.jpg"):
        write(tmp_path / "photos" / name, white_box((64, 96), 8, 8, 60, 40))
    (tmp_path / "photos/in/broken.jpg").write_bytes(b"\xff\xd8")
    there = upload(tmp_path / "photos", f"{bucket}/photos")
    tiny.make_run(tmp_path / "run")
    upload(tmp_path / "run", f"{bucket}/run")
    wide = ("--config.predict.threshold=0.0", "--config.predict.box_threshold=0.0")
    cli("--mode=predict", f"--workdir={tmp_path / 'run'}", f"--input={tmp_path / 'photos'}", *wide)
    for _ in range(2):  # over the files of the first run
        printed = cli("--mode=predict", f"--workdir={bucket}/run", f"--input={there}", *wide)
    assert f"results: {bucket}/run/detections/index.html" in printed
    here, found = (without_places(contents(folder / "run/detections")) for folder in (tmp_path, bucket))
    found = {name: data.replace(str(bucket).encode(), str(tmp_path).encode()) for name, data in found.items()}
    assert found.keys() == here.keys()
    assert {"icdar/res_a.txt", "icdar/in/res_b.txt", "detections.json", "index.html"} <= found.keys()
    assert found == here
    with pytest.raises(ValueError, match="another folder than `input`"):
        cli("--mode=predict", f"--workdir={bucket}/run", f"--input={there}", f"--output={there}")


def test_weights_of_a_bucket_are_exported_evaluated_and_refused_where_they_are_damaged(bucket, tmp_path, cli):
    tiny.make_run(bucket / "run")
    file = bucket / "weights/tiny.safetensors"
    assert f"results: {file} and its card" in cli("--mode=export", f"--workdir={bucket}/run", f"--output={file}")
    tiny.make_run(tmp_path / "run")
    cli("--mode=export", f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'tiny.safetensors'}")
    here, found = load_weights(tmp_path / "tiny.safetensors"), load_weights(file)
    jax.tree.map(np.testing.assert_array_equal, found.variables, here.variables)
    assert found.config.to_dict() == here.config.to_dict()
    assert (bucket / "weights/tiny.md").is_file()
    printed = cli("--mode=evaluate", f"--workdir={bucket}/run")
    assert f"results: {bucket}/run/predictions/index.html" in printed
    assert json.loads((bucket / "run/evaluation.json").read_bytes())["images"] == 4
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"{file}.*get or export it again"):
        cli("--mode=evaluate", f"--weights={file}", "--config=configs/quickstart.py")
    with pytest.raises(FileNotFoundError, match=r"`weights` .*none\.safetensors.* is not there"):
        cli("--mode=evaluate", f"--weights={bucket}/none.safetensors", "--config=configs/quickstart.py")
    with pytest.raises(FileNotFoundError, match="holds no run"):
        cli("--mode=evaluate", f"--workdir={bucket}/nothing")


def test_a_killed_run_in_a_bucket_ends_with_the_weights_of_one_that_was_not(bucket, tmp_path):
    extra = "steps=4,checkpoint_every=1,pixels=device,canvas=(64,64)"
    # As many devices as this process has: their number changes the last bits.
    killed = tiny.start(bucket / "run", extra=extra, environment={"JAX_NUM_CPU_DEVICES": str(jax.device_count())})
    while not has_checkpoint(bucket / "run"):
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    train_and_evaluate(tiny.config(extra), bucket / "run")
    train_and_evaluate(tiny.config(extra), tmp_path / "run")
    states = [tiny.everything(folder / "run", extra) for folder in (bucket, tmp_path)]
    assert len(states[0]) > 100
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert [line["step"] for line in tiny.losses(bucket / "run")] == [1, 2, 3, 4]


def test_a_conversion_writes_to_a_bucket_and_a_run_starts_from_there(bucket, tmp_path, cli):
    model = create_model("resnet18", width=4, inner_channels=8)
    shapes = variable_shapes(model)
    variables = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.5, np.float32), shapes)
    save_file(export_torch_weights(variables, model), tmp_path / "official.safetensors")
    there = upload(tmp_path, f"{bucket}/weights") / "official.safetensors"
    printed = cli("--mode=convert", f"--input={there}", f"--workdir={bucket}/run")
    assert f"results: {bucket}/run, for --mode=evaluate" in printed
    assert {"config.json", "checkpoints/0/_CHECKPOINT_METADATA"} <= contents(bucket / "run").keys()
    with pytest.raises(ValueError, match=r"`workdir` .*holds checkpoints already"):
        cli("--mode=convert", f"--input={there}", f"--workdir={bucket}/run")
    config = default_config()
    configure(config, str(there))
    for start in (there, bucket / "run"):
        config.init.checkpoint = str(start)
        jax.tree.map(np.testing.assert_array_equal, initial_variables(config, model), variables)
    for missing in ("run/no", "weights/no.safetensors"):
        config.init.checkpoint = f"{bucket}/{missing}"
        with pytest.raises(FileNotFoundError, match=rf"`config\.init\.checkpoint` \(='{bucket}/{missing}'\) does not"):
            initial_variables(config, model)
    with pytest.raises(FileNotFoundError, match=r"`input` .*no\.pth"):
        cli("--mode=convert", f"--input={bucket}/no.pth", f"--workdir={bucket}/other")


def test_a_searchable_pdf_appears_in_a_bucket_when_it_is_complete(bucket, tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    for folder in (bucket, tmp_path):
        pdfs = SearchablePdfs(folder, dpi=100)
        pdfs.add("in/scan.pdf", image, Page([], (40, 60)))
        assert not (folder / "in/scan.pdf").exists()
        pdfs.close()
    assert contents(bucket) == contents(tmp_path)


def test_pictures_of_two_places_are_refused(bucket, tmp_path):
    for folder in (bucket / "a", bucket / "b", tmp_path):
        (folder / "x.png").write_bytes(b"")
    root, files = pictures_of([bucket / "a", f"{bucket}/b/x.png"], bucket / "out")
    assert (root, files) == (bucket, [bucket / "a/x.png", bucket / "b/x.png"])
    with pytest.raises(ValueError, match=r"`input` .* must be on one disk, or in one bucket"):
        pictures_of([bucket / "a", tmp_path], tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--config=configs/quickstart.py", "--workdir=gs://nowhere/run"),
            "BucketError: gs://nowhere: there is no such",
        ),
        (("--config=configs/quickstart.py", "--workdir=s3://bucket/run"), "ValueError: `workdir` (='s3://bucket/run')"),
        (
            ("--config=gs://bucket/config.py", "--workdir=runs"),
            "ValueError: --config=gs://bucket/config.py must be on a",
        ),
        (("predict", "gs://nowhere/x.jpg"), "BucketError: gs://nowhere: there is no such bucket"),
        (
            ("evaluate", "--weights=small-word", "--output=gs://nowhere/x"),
            "BucketError: gs://nowhere: there is no such",
        ),
    ],
)
def test_what_cannot_work_ends_with_one_line(words, said, storage, tmp_path):
    with pytest.raises(SystemExit) as caught:
        run(words, tmp_path)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
