"""The batches of training with pixels made on the device: exact in what they hold, from any step and process."""

import itertools

import numpy as np
import pytest

from input_pipeline.augment import Augmentation
from input_pipeline.bad_samples import BadSamples, TooManyBadSamples
from input_pipeline.batches.threads import thread_batches
from input_pipeline.datasets.wrappers.on_device import StoredDataset
from input_pipeline.device_geometry import DeviceGeometry
from input_pipeline.examples import Examples
from tests.helpers.numbered import CROP, Numbered

CANVAS = (80, 80)


def examples_of(dataset, **options):
    options = {"max_instances": 4, "max_vertices": 16, "stored": False} | options
    device = DeviceGeometry(CANVAS, CROP, shrink_ratio=0.4, min_text_size=8, **options)
    bad_samples = BadSamples(len(dataset), 0.5)
    augmentation = Augmentation(CROP, scale=(0.5, 1.5), jitter=0.2)
    return Examples(dataset, 0, augmentation, {}, bad_samples, device), bad_samples


def take(steps: int, examples: Examples, **options: int):
    return list(itertools.islice(thread_batches(examples, **({"batch_size": 4} | options)), steps))


def assert_equal_batches(a, b) -> None:
    assert len(a) == len(b)
    for (arrays, names), (others, other_names) in zip(a, b, strict=True):
        assert names == other_names
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, others[key], err_msg=key)


def test_batches_hold_the_examples_in_their_order_from_any_step_and_process():
    examples, _ = examples_of(Numbered(11))
    whole = take(5, examples)
    for step, (batch, names) in enumerate(whole):
        assert batch["picture"].shape == (4, *CANVAS, 3)
        for row, name in enumerate(names):
            example = examples[4 * step + row]
            assert example["name"] == name
            for key, array in batch.items():
                np.testing.assert_array_equal(array[row], example[key])
    assert_equal_batches(take(2, examples, first_step=3), whole[3:])
    halves = [take(5, examples, process_index=i, process_count=2) for i in (0, 1)]
    for (batch, names), *parts in zip(whole, *halves, strict=True):
        assert names == parts[0][1] + parts[1][1]
        np.testing.assert_array_equal(batch["picture"], np.concatenate([part["picture"] for part, _ in parts]))


def test_stored_pictures_are_those_that_would_be_sent_and_bad_ones_are_replaced_alike():
    plain, plain_bad = examples_of(Numbered(11, bad=(3, 7)))
    dataset = StoredDataset(Numbered(11, bad=(3, 7)), CANVAS)
    stored, stored_bad = examples_of(dataset, stored=True)
    for (sent, names), (kept, other_names) in zip(take(6, plain), take(6, stored), strict=True):
        assert names == other_names
        np.testing.assert_array_equal(sent.pop("picture"), dataset.pictures[kept.pop("index")])
        for key, array in sent.items():
            np.testing.assert_array_equal(array, kept[key])
    # In the order in which threads met them.
    plain_report, stored_report = (bad.report(everything=True).splitlines() for bad in (plain_bad, stored_bad))
    assert any("picture_3.jpg" in line for line in plain_report)
    assert sorted(plain_report) == sorted(stored_report)


@pytest.mark.parametrize(
    ("room", "words"), [({"max_instances": 0}, "max_instances"), ({"max_vertices": 3}, "max_vertices")]
)
def test_outlines_without_room_are_named_and_end_the_run(room, words):
    examples, bad_samples = examples_of(Numbered(6), **room)
    with pytest.raises(TooManyBadSamples):
        take(40, examples)
    assert f"`config.data.{words}`" in bad_samples.report(everything=True)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match=r"`batch_size` \(=4\)"):
        take(1, examples_of(Numbered(6))[0], process_count=3)
