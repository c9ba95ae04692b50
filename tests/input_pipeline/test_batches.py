"""Examples by position and the tf.data batches made of them: what a position gives never depends on the way to it."""

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dbnet_jax.images.decode import BadPicture
from input_pipeline.augment import Augmentation
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples
from input_pipeline.batches.tf_data import Batch, train_batches
from input_pipeline.datasets.sample import Sample
from input_pipeline.datasets.wrappers.cached import CachedDataset
from input_pipeline.examples import LABELS, Example, Examples
from tests.helpers.numbered import CROP, Numbered


def make_examples(
    count: int = 11, *, seed: int = 0, bad: tuple[int, ...] = (), max_share: float = 0.5
) -> tuple[Examples, BadSamples]:
    dataset = Numbered(count, bad)
    bad_samples = BadSamples(count, max_share)
    return Examples(dataset, seed, Augmentation(CROP, scale=(0.5, 1.5)), {}, bad_samples), bad_samples


def take(steps: int, **options: int) -> list[tuple[Batch, list[str]]]:
    return list(itertools.islice(batches(**options), steps))


def batches(**options: int) -> Iterator[tuple[Batch, list[str]]]:
    return train_batches(make_examples()[0], crop=CROP, **({"batch_size": 4} | options))


def assert_equal(a: Example | Batch, b: Example | Batch) -> None:
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])


# Examples
def test_an_example_is_a_function_of_its_position():
    positions = list(range(30))
    in_order = dict(zip(positions, map(make_examples()[0].__getitem__, positions), strict=True))
    shuffled = np.random.default_rng(0).permutation(positions).tolist() * 2
    examples = make_examples()[0]
    for position in shuffled:
        assert_equal(examples[position], in_order[position])
    examples = make_examples()[0]
    with ThreadPoolExecutor(8) as pool:
        for position, example in zip(shuffled, pool.map(examples.__getitem__, shuffled), strict=True):
            assert_equal(example, in_order[position])


def test_examples_of_one_picture_differ_between_epochs_and_seeds():
    first, other = make_examples()[0], make_examples(seed=1)[0]
    of_picture = [p for p in range(44) if first.index(p) == 3]
    assert len(of_picture) == 4
    images = [first[p]["image"] for p in of_picture]
    assert all((a != b).any() for a, b in itertools.combinations(images, 2))
    assert any((first[p]["image"] != other[p]["image"]).any() for p in range(3))


def test_every_epoch_is_a_permutation_of_its_own():
    examples = make_examples(11)[0]
    epochs = [[examples.index(11 * epoch + place) for place in range(11)] for epoch in range(6)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    again = make_examples(11)[0]
    assert [again.index(11 * 5 + place) for place in range(11)] == epochs[5]
    assert [make_examples(11, seed=1)[0].index(place) for place in range(11)] != epochs[0]


def test_a_bad_picture_is_replaced_by_the_same_one_each_time_counted_and_named():
    examples, bad_samples = make_examples(11, bad=(2, 7))
    made = [examples[position] for position in range(22)]
    names = {example["name"] for example in made}
    assert names == {f"picture_{index}.jpg" for index in range(11)} - {"picture_2.jpg", "picture_7.jpg"}
    # What is good keeps its place.
    for position, example in enumerate(made):
        if examples.index(position) not in (2, 7):
            assert example["name"] == f"picture_{examples.index(position)}.jpg"
            assert_equal(example, make_examples(11)[0][position])
    again = make_examples(11, bad=(2, 7))[0]
    for position in reversed(range(22)):
        assert_equal(again[position], made[position])
    report = bad_samples.report()
    assert report.startswith("2 pictures skipped, 0 problems in the data:")
    assert "picture_2.jpg: cannot be decoded" in report
    assert "picture_7.jpg: cannot be decoded" in report
    assert bad_samples.report() == ""
    assert bad_samples.report(everything=True) == report


def test_too_many_bad_pictures_stop_and_are_named():
    examples, _ = make_examples(10, bad=(1, 4, 8), max_share=0.2)
    with pytest.raises(TooManyBadSamples, match=r"3 of 10 pictures .*`config.data.max_bad_share` \(=0.2\)") as error:
        list(map(examples.__getitem__, range(10)))
    assert all(f"picture_{index}.jpg" in str(error.value) for index in (1, 4, 8))
    # The limit itself is allowed.
    examples, _ = make_examples(10, bad=(1, 4, 8), max_share=0.3)
    assert len([examples[position] for position in range(10)]) == 10


def test_a_set_of_only_bad_pictures_ends():
    examples, _ = make_examples(3, bad=(0, 1, 2), max_share=1.0)
    with pytest.raises(BadPicture, match=r"(?s)in a row cannot be used.*picture_"):
        examples[0]


def test_a_cached_set_gives_the_same_and_reads_once():
    dataset = Numbered(5, bad=(3,))
    cached = CachedDataset(dataset, most_bytes=1e9)
    assert (len(cached), cached.name(4)) == (5, "picture_4.jpg")
    options = (0, Augmentation(CROP), {}, BadSamples(5, 0.5))
    for position in range(15):
        assert_equal(Examples(cached, *options)[position], Examples(Numbered(5, bad=(3,)), *options)[position])
    assert {index: dataset.reads[index] for index in (0, 1, 2, 4)} == dict.fromkeys((0, 1, 2, 4), 1)
    # The bad one may have been mended.
    assert dataset.reads[3] >= 3


def test_a_set_that_does_not_fit_is_cached_in_part():
    dataset = Numbered(6)
    cached = CachedDataset(dataset, most_bytes=3.5 * dataset[0].image.nbytes)
    dataset.reads.clear()
    for index in (*range(6), *range(6)):
        np.testing.assert_array_equal(cached[index].image, Numbered(6)[index].image)
    assert [dataset.reads[index] for index in range(6)] == [1, 1, 1, 2, 2, 2]


# Batches
@pytest.fixture(scope="module")
def uninterrupted() -> list[tuple[Batch, list[str]]]:
    return take(7)


def test_a_batch_holds_the_examples_at_its_positions(uninterrupted):
    examples = make_examples()[0]
    for step, (batch, names) in enumerate(uninterrupted):
        assert batch.keys() == {"image", *LABELS}
        assert batch["image"].shape == (4, *CROP, 3)
        assert batch["image"].dtype == np.uint8
        for row in range(4):
            example = examples[4 * step + row]
            assert names[row] == example["name"]
            for key, values in batch.items():
                np.testing.assert_array_equal(values[row], example[key])
        assert all(batch[key].dtype == np.float32 for key in LABELS)


def test_names_that_are_no_text_come_through(monkeypatch):
    """As of a file that was named on a machine with another encoding, unpacked on Linux."""
    monkeypatch.setattr(Numbered, "name", lambda self, index: f"caf\udce9_{index}.jpg")
    ((_, names),) = take(1)
    assert {name[:5] for name in names} == {"caf\udce9_"}


def test_a_slow_picture_keeps_its_place(uninterrupted):
    class Slow(Numbered):
        def __getitem__(self, index: int) -> Sample:
            time.sleep(0.05 * (index % 2))
            return super().__getitem__(index)

    examples = Examples(Slow(11), 0, Augmentation(CROP, scale=(0.5, 1.5)), {}, BadSamples(11, 0.5))
    made = itertools.islice(train_batches(examples, batch_size=4, crop=CROP), 4)
    assert [names for _, names in made] == [names for _, names in uninterrupted[:4]]


@pytest.mark.parametrize("first_step", [1, 5])
def test_a_resumed_run_sees_the_batches_that_it_would_have_seen(uninterrupted, first_step):
    resumed = take(7 - first_step, first_step=first_step)
    for (batch, names), (expected, expected_names) in zip(resumed, uninterrupted[first_step:], strict=True):
        assert names == expected_names
        assert_equal(batch, expected)


@pytest.mark.parametrize("processes", [2, 4])
def test_the_shares_of_the_processes_are_the_batch(uninterrupted, processes):
    shares = [take(3, process_index=process, process_count=processes) for process in range(processes)]
    for step in range(3):
        whole, names = uninterrupted[step]
        assert [name for share in shares for name in share[step][1]] == names
        assert_equal({key: np.concatenate([share[step][0][key] for share in shares]) for key in whole}, whole)


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"`batch_size` \(=4\) must be a multiple of the 3 processes"):
        next(batches(process_count=3))


def test_bad_pictures_pass_through_tensorflow_counted():
    examples, bad_samples = make_examples(11, bad=(2, 7))
    made = itertools.islice(train_batches(examples, batch_size=4, crop=CROP), 6)
    names = {name for _, batch_names in made for name in batch_names}
    assert names.isdisjoint({"picture_2.jpg", "picture_7.jpg"})
    assert len(names) == 9
    assert bad_samples.report().startswith("2 pictures skipped")


def test_too_many_bad_pictures_arrive_as_that_error():
    examples, _ = make_examples(10, bad=tuple(range(5)), max_share=0.2)
    with pytest.raises(TooManyBadSamples, match="pictures cannot be used, more than") as error:
        for _ in train_batches(examples, batch_size=4, crop=CROP):
            pass
    assert sum(f"picture_{index}.jpg: cannot be decoded" in str(error.value) for index in range(5)) >= 3


def test_any_error_of_a_data_set_arrives_as_itself():
    class Broken(Numbered):
        def __getitem__(self, index: int) -> Sample:
            raise KeyError("a mistake in a reader")

    examples = Examples(Broken(4), 0, Augmentation(CROP), {}, BadSamples(4, 0.5))
    with pytest.raises(KeyError, match="a mistake in a reader"):
        next(train_batches(examples, batch_size=2, crop=CROP))


class Awaited(Numbered):
    """Its pictures take a while, as a decoder does."""

    def __getitem__(self, index: int) -> Sample:
        time.sleep(0.02)
        return super().__getitem__(index)


@pytest.mark.parametrize("bad", [(), (1, 4, 8)])
def test_nothing_goes_on_behind_an_end(bad):
    """Or TensorFlow's threads, which want Python's lock to end, would meet whoever holds it and waits for them."""
    dataset = Awaited(30, bad)
    examples = Examples(dataset, 0, Augmentation(CROP), {}, BadSamples(30, 0.05))
    made = train_batches(examples, batch_size=4, crop=CROP)
    next(made)
    if bad:
        with pytest.raises(TooManyBadSamples) as error:
            list(made)
        assert error.tb is not None  # which holds the generator's frame
    else:
        made.close()
    reads = dataset.reads.total()
    time.sleep(0.2)
    assert dataset.reads.total() == reads


def test_what_is_made_ahead_and_not_asked_for_fails_nobody():
    examples, _ = make_examples(40, bad=(20, 30), max_share=0.01)
    first = next(position for position in range(40) if examples.index(position) in (20, 30)) // 4
    assert first > 0, "the first batch must be one without"
    assert len(list(itertools.islice(train_batches(examples, batch_size=4, crop=CROP), first))) == first


def test_tensorflow_is_imported_by_the_first_batch_and_not_before():
    code = "import sys, input_pipeline.from_config; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
