"""The command `bulk`: its results, a restart, and how it ends when it cannot work."""

import json
import os
import pathlib

import pytest
from absl import app

from dbnet_jax.bulk import engines
from dbnet_jax.bulk.plan import PlanChanged
from dbnet_jax.bulk.shards import ShardWorker
from dbnet_jax.training.lock import WorkdirInUse, only_run_in
from dbnet_jax.weights import shipped as pretrained
from tests.helpers import tiny_run as tiny
from tests.helpers.bulk import Widths, records, write_pictures

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> pathlib.Path:
    return tiny.save_zeros(tmp_path_factory.mktemp("weights") / "small-word.safetensors").parent


@pytest.fixture(autouse=True)
def widths(monkeypatch, shipped) -> None:
    """Weights that exist, and models that need no network."""
    monkeypatch.setattr(pretrained, "FOLDER", shipped)
    monkeypatch.setattr("dbnet_jax.bulk.models.TextModels.load", lambda self: Widths().load())


@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    return write_pictures(tmp_path / "photos", 5)


def words(photos: pathlib.Path, output: pathlib.Path, *more: str) -> list[str]:
    return ["--mode=bulk", f"--input={photos}", f"--output={output}", "--shard_size=2", *more]


def test_it_writes_shards_and_goes_on_where_it_was(cli, photos, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"
    (photos / "02.png").write_bytes(b"no picture")
    do, done = ShardWorker.do, []

    def until_the_disk_is_full(self, shard):
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        done.append(shard.number)
        return do(self, shard)

    with monkeypatch.context() as patched:
        patched.setattr(ShardWorker, "do", until_the_disk_is_full)
        with pytest.raises(OSError, match="No space left"):
            cli(*words(photos, output))
    parts = [f"part-0000{shard}{suffix}" for shard in range(3) for suffix in (".jsonl", ".parquet")]
    assert [name for name in sorted(os.listdir(output)) if name.startswith("part")] == parts[:4]
    printed = f"5 pictures, 1 of them unreadable (column error)\nresults: {output}\n"
    assert cli("bulk", str(photos), f"--output={output}", "--shard_size=2") == printed
    assert sorted(os.listdir(output)) == [".lock", *parts, "plan.json"]
    rows = [json.loads(line) for part in parts[::2] for line in (output / part).read_text().splitlines()]
    assert "cannot be decoded" in rows.pop(2)["error"]
    assert rows == [
        {"name": f"{index:02}.png", **record}
        for index, record in zip((0, 1, 3, 4), records([40, 41, 43, 44]), strict=True)
    ]
    # Once it is done, the same command looks at nothing.
    monkeypatch.setattr(ShardWorker, "do", None)
    assert cli(*words(photos, output)) == printed
    with pytest.raises(PlanChanged, match=r"other options: predict\.min_size was 3, now 9"):
        cli(*words(photos, output, "--config.predict.min_size=9"))


def test_results_may_lie_among_the_pictures(cli, photos):
    for _ in range(2):
        assert cli(*words(photos, photos / "out")).startswith("5 pictures, 0 of them")


def test_two_jobs_do_not_share_a_folder(cli, photos, tmp_path):
    with only_run_in(tmp_path / "out"), pytest.raises(WorkdirInUse, match=r"`output` .* in use by another run"):
        cli(*words(photos, tmp_path / "out"))


@pytest.mark.parametrize(
    ("name", "said"),
    [("no.png", ""), ("no.tar", "no.tar: cannot be read: "), ("no.parquet", "no.parquet: cannot be read: ")],
)
def test_it_fails_when_nothing_can_be_read(cli, tmp_path, capsys, name, said):
    (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(SystemExit, match="nothing in it could be read as a picture"):
        cli(*words(tmp_path / name, tmp_path / "out"))
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "kind", "said"),
    [
        (["--mode=bulk", "--output=out"], app.UsageError, "--input is missing"),
        (["--mode=bulk", "--input=photos"], app.UsageError, "--output is missing"),
        (["bulk", "photos", "--output=out", "--engine=spark"], ValueError, r"`engine` \(='spark'\) must be .*'ray'"),
        (["bulk", "photos", "--output=out", "--shard_size=0"], ValueError, r"`shard_size` \(=0\) must be 1 or more"),
        (["bulk", "photos", "--output=out", "--workers=0"], ValueError, r"`workers` \(=0\) must be 1 or more"),
    ],
)
def test_flags_that_cannot_be(cli, more, kind, said):
    with pytest.raises(kind, match=said):
        cli(*more)


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name == "ray" else name)
    engines.check_packages("local")
    with pytest.raises(ImportError, match=r"the package ray: pip install 'dbnet_jax\[bulk\]'"):
        engines.check_packages("ray")
