"""A job ends with every picture once, whatever stopped it on its way."""

import json
import os
import pathlib
import tarfile
from collections.abc import Iterator
from unittest import mock

import pytest

from dbnet_jax.backends import compilation
from dbnet_jax.backends.compilation import compiling
from dbnet_jax.bulk.listing import list_pictures
from dbnet_jax.bulk.output import PARTIAL, clear, put, read_part
from dbnet_jax.bulk.places import StorageLost
from dbnet_jax.bulk.plan import Plan, PlanChanged, make_plan, open_plan
from dbnet_jax.bulk.shards import Done, ShardWorker
from dbnet_jax.bulk.tries import DEATHS, DEATHS_AT_COMPILATION, Tries
from tests.helpers.brightness import white_box
from tests.helpers.bulk import Widths, picture, records, write_pictures
from tests.helpers.pictures import saved

parquet = pytest.importorskip("pyarrow.parquet")
pyarrow = pytest.importorskip("pyarrow")


class Death(BaseException):
    """Stands for the end of the process: nothing is tidied up after it."""


@pytest.fixture(autouse=True)
def death_leaves_everything(monkeypatch) -> None:
    leave = Tries.__exit__
    monkeypatch.setattr(Tries, "__exit__", lambda self, kind, *rest: kind is not Death and leave(self, kind, *rest))
    monkeypatch.setattr(os, "kill", die)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a busy disk takes its time


def die(pid: int, signal: int) -> None:
    raise Death


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    return write_pictures(tmp_path / "photos", 10)


@pytest.fixture
def output(tmp_path) -> str:
    (tmp_path / "out").mkdir()
    return str(tmp_path / "out")


def plan_of(folder: pathlib.Path, size: int = 4, **options: object) -> Plan:
    return make_plan(list_pictures([str(folder)], ""), size, options)


def rows(output: str) -> list[dict]:
    """All rows as JSON lines, which Parquet must agree with."""
    lines, table = [], []
    for part in sorted(pathlib.Path(output).glob("part-*.parquet")):
        lines += [json.loads(line) for line in part.with_suffix(".jsonl").read_text().splitlines()]
        table += parquet.read_table(part).to_pylist()
    assert [row["name"] for row in table] == [line["name"] for line in lines]
    assert [row["error"] for row in table] == [line.get("error") for line in lines]
    return lines


def expected(*indices: int) -> list[dict]:
    found = records(40 + index for index in indices)
    return [{"name": f"{index:02}.png", **record} for index, record in zip(indices, found, strict=True)]


def test_each_picture_is_a_row_of_its_shard(folder, output):
    plan, worker = plan_of(folder), ShardWorker(Widths(), output)
    assert [worker.do(shard) for shard in plan.shards] == [Done(0, 4, 0), Done(1, 4, 0), Done(2, 2, 0)]
    assert rows(output) == expected(*range(10))
    first = parquet.read_table(f"{output}/part-00000.parquet").to_pylist()[1]
    polygon = [[0.0, 0.0], [41.0, 0.0], [41.0, 30.0]]
    assert first == {
        **{"name": "01.png", "error": None, "height": 30, "width": 41},
        **{"polygons": [polygon], "scores": [0.5], "notes": []},
    }
    # A shard that is there is not done again, and the file that says who does a shard is gone.
    again = Widths()
    assert ShardWorker(again, output).do(plan.shards[0]) == Done(0, 4, 0)
    assert again.seen == []
    assert os.listdir(f"{output}/tries") == []


@pytest.mark.parametrize("file", ["part-00001.parquet", "part-00001.jsonl"])
@pytest.mark.parametrize("damage", ["missing", "cut", "of another job"])
def test_a_shard_with_a_damaged_file_is_done_again(folder, output, file, damage, tmp_path):
    plan = plan_of(folder)
    for shard in plan.shards:
        ShardWorker(Widths(), output).do(shard)
    path = pathlib.Path(output, file)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        (tmp_path / "other").mkdir()
        ShardWorker(Widths(bad=(44,)), str(tmp_path / "other")).do(plan_of(folder, box=1).shards[1])
        path.write_bytes((tmp_path / "other" / file).read_bytes())
    done = [read_part(output, shard.number, shard.digest) is not None for shard in plan.shards]
    assert done == [True, False, True]
    assert ShardWorker(Widths(), output).do(plan.shards[1]) == Done(1, 4, 0)
    assert rows(output) == expected(*range(10))


def test_unreadable_pictures_are_rows_with_the_reason(folder, output):
    (folder / "01.png").write_bytes(picture(1)[:60])
    (folder / "02.png").unlink()
    (folder / "02.png").symlink_to("nowhere")
    os.rename(folder / "03.png", os.fsencode(folder) + b"/03\xff.png")  # a name that is no text
    (shard,) = plan_of(folder, 10).shards
    assert ShardWorker(Widths(), output).do(shard) == Done(0, 10, 2)
    found = rows(output)
    assert [row["name"] for row in found[:5]] == ["00.png", "01.png", "02.png", "03\\udcff.png", "04.png"]
    assert [*found[1]] == ["name", "error"]
    assert found[1]["error"].startswith("01.png: ")
    assert found[2]["error"] == "02.png: cannot be read: No such file or directory"
    assert found[3]["width"] == 43


def test_a_picture_on_which_the_models_fail_is_a_row_and_the_others_are_found(folder, output):
    (shard, _) = plan_of(folder, 5).shards
    assert ShardWorker(Widths(bad=(43,)), output).do(shard) == Done(0, 5, 1)
    found = rows(output)
    assert found[3]["error"] == "03.png: RuntimeError: out of memory on the device"
    assert found[:3] + found[4:] == expected(0, 1, 2, 4)


def test_models_that_always_fail_end_the_job_and_write_nothing(folder, output):
    with pytest.raises(RuntimeError, match="out of memory on the device"):
        ShardWorker(Widths(broken=True), output).do(plan_of(folder).shards[0])
    assert os.listdir(output) == []


def test_models_that_fail_later_end_the_job_and_blame_no_picture(folder, output):
    worker = ShardWorker(Widths(), output)
    first, second, _ = plan_of(folder).shards
    worker.do(first)
    worker._find = Widths(broken=True).load()
    with pytest.raises(RuntimeError, match="out of memory on the device"):
        worker.do(second)
    assert os.listdir(f"{output}/tries") == []
    assert rows(output) == expected(*range(4))


def lives(output: str, shard, **models: object) -> Iterator[str]:
    """What becomes of one process after the other, until one of them does the shard."""
    for _ in range(9):
        try:
            yield f"done: {ShardWorker(Widths(**models), output).do(shard)}"  # type: ignore[arg-type]
            return
        except Death:
            yield "dead"
        except OSError:
            yield "error"


def test_a_picture_that_kills_processes_is_a_row_after_two_tries_of_the_shard_and_two_of_its_own(folder, output):
    shard = plan_of(folder, 10).shards[0]
    assert [*lives(output, shard, deadly=(43, 46))] == [*["dead"] * 6, f"done: {Done(0, 10, 2)}"]
    found = rows(output)
    for index in (3, 6):
        assert "2 processes ended at this picture" in found[index]["error"]
    assert [row for row in found if "error" not in row] == expected(0, 1, 2, 4, 5, 7, 8, 9)


def test_deaths_that_no_picture_caused_leave_no_picture_out(folder, output, monkeypatch):
    shard = plan_of(folder, 10).shards[0]
    steps = iter([41, 45, 47, 42, 48, None])  # a machine is lost, each time at another picture
    find = Widths._find

    def find_until(self, sources):
        self = Widths(deadly=(fatal,) if fatal else ())
        return find(self, sources)

    monkeypatch.setattr(Widths, "_find", find_until)
    for fatal in steps:
        last = next(lives(output, shard))
        assert last == ("dead" if fatal else f"done: {Done(0, 10, 0)}")
    assert rows(output) == expected(*range(10))


def test_deaths_while_the_network_is_loaded_or_compiled_blame_no_picture_and_no_shard(folder, output, monkeypatch):
    shard = plan_of(folder, 10).shards[0]
    with monkeypatch.context() as patched:
        patched.setattr(Widths, "load", mock.Mock(side_effect=Death))
        assert [*lives(output, shard)] == ["dead"] * 9
    assert [*lives(output, shard, deadly=(64,))] == ["dead"] * 9  # a blank picture is 64 pixels wide
    assert os.listdir(output) == []
    # A death in the middle of the shard counts, and those at the network do not add to it.
    assert next(lives(output, shard, deadly=(41,))) == "dead"
    assert [*lives(output, shard, deadly=(64,))] == ["dead"] * 9
    assert not Tries(output, 0).__enter__().one_at_a_time
    assert [*lives(output, shard)] == [f"done: {Done(0, 10, 0)}"]
    assert rows(output) == expected(*range(10))


def test_deaths_while_the_network_is_compiled_for_a_picture_do_not_blame_it(folder, output, monkeypatch):
    shard = plan_of(folder, 10).shards[0]
    find = Widths._find

    def find_and_compile(self, sources):
        for record in find(self, sources):
            with compiling():
                if record["width"] == 43:
                    compilation._tell = None  # nobody is told of the end
                    raise Death
            yield record

    with monkeypatch.context() as patched:
        patched.setattr(Widths, "_find", find_and_compile)
        assert [next(lives(output, shard)) for _ in range(2 + DEATHS_AT_COMPILATION - 1)] == ["dead"] * 11
    noted = json.loads(pathlib.Path(output, "tries/part-00000.json").read_text())
    assert (noted["at"], noted["compiling"], noted["died_at"]) == ("03.png", True, {})
    assert next(lives(output, shard, deadly=(43,))) == "dead"  # the first one that counts
    with monkeypatch.context() as patched:  # deaths while the files are written blame the last picture as little
        patched.setattr("dbnet_jax.bulk.shards.put", mock.Mock(side_effect=Death))
        assert [next(lives(output, shard)) for _ in range(3)] == ["dead"] * 3
    assert next(lives(output, shard)) == f"done: {Done(0, 10, 0)}"
    assert rows(output) == expected(*range(10))


def test_a_picture_for_which_the_network_is_never_compiled_does_not_stop_the_job_for_ever(folder, output):
    died = {"at": "03.png", "compiling": True, "died_compiling": {"03.png": DEATHS_AT_COMPILATION - 1}}
    pathlib.Path(output, "tries").mkdir()
    put(f"{output}/tries/part-00000.json", json.dumps({"deaths": 12, "died_at": {}, **died}).encode())
    assert next(lives(output, plan_of(folder, 10).shards[0])) == f"done: {Done(0, 10, 1)}"
    assert "03.png: 10 processes ended while the network was compiled for this" in rows(output)[3]["error"]


def test_pages_are_done_alone_too(folder, output, monkeypatch):
    """A page that is read while the network is compiled for another one could kill without blame."""
    image = white_box((30, 50), 5, 5, 20, 20)
    (folder / "10.tif").write_bytes(saved(image, "TIFF", image, image))
    find, taken = Widths._find, []

    def count(self, sources):
        sources = list(sources)
        taken.append(len(sources))
        yield from find(self, sources)

    monkeypatch.setattr(Widths, "_find", count)
    with Tries(output, 0) as tries:
        (shard,) = plan_of(folder, 11).shards
        worker = ShardWorker(Widths(frames="all"), output)
        tries._state["deaths"] = DEATHS
        found = worker._records(worker.models.load(), shard, tries)
    assert taken == [1] * 13
    assert [record["name"] for record in found[10:]] == ["10.tif#1", "10.tif#2", "10.tif#3"]


def test_errors_and_ctrl_c_are_no_deaths_and_what_was_known_stays_known(folder, output, monkeypatch):
    shard = plan_of(folder, 10).shards[0]
    models = {"deadly": (43,)}
    assert [next(lives(output, shard, **models)) for _ in range(3)] == ["dead"] * 3
    for error in (KeyboardInterrupt, OSError):
        with monkeypatch.context() as patched:
            patched.setattr("dbnet_jax.bulk.shards.put", mock.Mock(side_effect=error))
            patched.setattr(Widths, "_find", lambda self, sources: iter(()))
            with pytest.raises(error):
                ShardWorker(Widths(), output).do(shard)
    assert [*lives(output, shard, **models)] == ["dead", f"done: {Done(0, 10, 1)}"]


@pytest.mark.parametrize("fsyncs", [[Death], [None, Death]], ids=["JSON lines", "Parquet, after them"])
def test_a_process_that_dies_while_it_writes_leaves_no_part(folder, output, monkeypatch, fsyncs):
    shard = plan_of(folder).shards[0]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", mock.Mock(side_effect=fsyncs))
        patched.setattr(pathlib.Path, "unlink", lambda self, missing_ok=False: None)
        assert next(lives(output, shard)) == "dead"
    assert [name for name in os.listdir(output) if name.endswith(PARTIAL)]
    assert read_part(output, shard.number, shard.digest) is None
    assert rows(output) == []
    assert [*lives(output, shard)] == [f"done: {Done(0, 4, 0)}"]
    clear(output)
    assert sorted(os.listdir(output)) == ["part-00000.jsonl", "part-00000.parquet"]


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("careful", [False, True])
def test_pictures_whose_disk_is_gone_are_no_unreadable_pictures(folder, output, archive, careful):
    if archive:
        with tarfile.open(folder / "all.tar", "w") as tar:
            for file in sorted(folder.glob("*.png")):
                tar.add(file, file.name)
                file.unlink()
    plan, worker = plan_of(folder), ShardWorker(Widths(), output)
    worker.do(plan.shards[0])
    moved = folder.rename(folder.with_name("moved"))
    if careful:
        put(f"{output}/tries/part-00001.json", b"{}")
        with mock.patch.object(Tries, "one_at_a_time", True), pytest.raises(StorageLost, match="start the same"):
            worker.do(plan.shards[1])
    else:
        with pytest.raises(StorageLost, match=r"its folder cannot be listed .*start the same command again"):
            worker.do(plan.shards[1])
    assert len(rows(output)) == 4
    moved.rename(folder)
    if not archive:
        (folder / "09.png").unlink()  # this one alone is gone
    assert [worker.do(shard).unreadable for shard in plan.shards] == [0, 0, 0 if archive else 1]


def test_a_restart_has_the_plan_that_was_saved(folder, output):
    open_plan(output, plan_of(folder, box=0.6))
    open_plan(output, plan_of(folder, box=0.6))
    moved = folder.rename(folder.with_name("moved"))
    open_plan(output, plan_of(moved, box=0.6))
    assert plan_of(moved, box=0.6).shards[2].digest != plan_of(moved, box=0.5).shards[2].digest


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"box": 0.5}, r"other options: box was 0\.6, now 0\.5\. Choose another --output"),
        ({"size": 5}, "options: shard_size was 4, now 5"),
        ({"more": 1}, "options: more was null, now 1"),
        ({"reader": True, "reader.beam": 1}, r"options: reader was null, now true\. Choose"),
        ("new", r"other pictures, of 10 pictures: 1 new \(10\.png\)"),
        ("gone", r"1 gone \(04\.png\)"),
        ("changed", r"1 changed \(04\.png\)"),
    ],
)
@pytest.mark.parametrize("begun", ["part-00000.jsonl", "tries/part-00000.json"])
def test_a_job_with_another_plan_is_refused(folder, output, changed, said, begun):
    open_plan(output, plan_of(folder, box=0.6))
    (pathlib.Path(output) / "tries").mkdir()
    put(f"{output}/{begun}", b"")
    if changed == "new":
        (folder / "10.png").write_bytes(picture(10))
    elif changed == "gone":
        (folder / "04.png").unlink()
    elif changed == "changed":
        (folder / "04.png").write_bytes(b"")
    with pytest.raises(PlanChanged, match=rf"`output` \(='{output}'\).*{said}"):
        open_plan(output, plan_of(folder, **{"box": 0.6, **(changed if isinstance(changed, dict) else {})}))


def test_a_job_that_began_no_shard_may_be_corrected(folder, output):
    open_plan(output, plan_of(folder, box=7))
    worker = ShardWorker(Widths(broken=True), output)
    with pytest.raises(RuntimeError, match="out of memory"):
        worker.do(plan_of(folder, box=7).shards[0])
    open_plan(output, plan_of(folder, 5, box=0.7))
    open_plan(output, plan_of(folder, 5, box=0.7))


@pytest.mark.parametrize("inside", ["", "/set.parquet"])
def test_a_parquet_file_that_has_changed_is_refused(folder, output, inside):
    def plan(index: int) -> Plan:
        table = pyarrow.table({"name": ["a", "b"], "jpg": [picture(index), picture(2)]})
        parquet.write_table(table, folder / "set.parquet", compression="none")
        return make_plan(list_pictures([f"{folder}{inside}"], ""), 4, {})

    open_plan(output, plan(0))
    put(f"{output}/part-00000.jsonl", b"")
    open_plan(output, plan(0))
    with pytest.raises(PlanChanged, match=r"2 changed \((set\.parquet/)?a, (set\.parquet/)?b\)"):
        open_plan(output, plan(500))


def test_a_folder_with_files_of_others_is_refused(folder, output):
    put(f"{output}/part-00000.parquet", b"mine")
    with pytest.raises(FileExistsError, match=r"part-00000 and no plan\.json"):
        open_plan(output, plan_of(folder))
    put(f"{output}/plan.json", b'{"plan": "mine"}\n')
    with pytest.raises(ValueError, match=r"a plan\.json that is no plan of a job"):
        open_plan(output, plan_of(folder))
