"""Large pictures through windows: one map, one shape for the device, and the polygons of the whole look."""

import itertools
import pathlib

import cv2
import numpy as np
import pytest

from dbnet_jax.commands.predict import predict_files
from dbnet_jax.config.checks import check_predict
from dbnet_jax.config.fields import set_field
from dbnet_jax.detection.tiles import OVERLAP, spans
from dbnet_jax.detector import Detector
from dbnet_jax.evaluation.evaluator import Evaluator
from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.sample import Sample
from tests.helpers import tiny_run as tiny
from tests.helpers.brightness import WHITE, BrightnessDetector, assert_same, quad

OWN_SIZE = {"resize": "none"}


class RedDetector(BrightnessDetector):
    """Faster than its parent on large pictures: red is bright enough."""

    def _threshold(self, variables: object, images: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        self.calls.append((images.shape, names))
        return dict.fromkeys(names, (images[..., 0] > 127).astype(np.float32))


class NeighbourDetector(RedDetector):
    """A pixel is text if a cell within three cells of its own has a white pixel, as a network looks around a pixel.

    Cells have 32×32 pixels, from the top left of what the network is given.
    """

    def _threshold(self, variables: object, images: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        batch, rows, columns = images.shape[0], images.shape[1] // 32, images.shape[2] // 32
        white = super()._threshold(variables, images, names)[names[0]]
        cells = white.reshape(batch, rows, 32, columns, 32).max((2, 4))
        spread = np.stack([cv2.dilate(one, np.ones((7, 7))) for one in cells])
        maps = spread.repeat(32, 1).repeat(32, 2) * np.float32(0.75) + white * np.float32(0.25)
        return dict.fromkeys(names, maps)


def with_lines(height: int, width: int, pitch: int = 60) -> np.ndarray:
    """White lines of text from the left to the right, and columns of text where there is no room for lines."""
    image = np.zeros((height, width, 3), np.uint8)
    for top in range(10, height - 30, pitch):
        image[top : top + 16, 6 : max(width - 5, 7)] = WHITE
    return image


def specks(height: int, width: int, count: int) -> np.ndarray:
    """White pixels, far from each other on the average."""
    rng, image = np.random.default_rng(0), np.zeros((height, width, 3), np.uint8)
    image[rng.integers(0, height, count), rng.integers(0, width, count)] = WHITE
    return image


@pytest.mark.parametrize("window", [64, 96, 512, 1024])
@pytest.mark.parametrize("extent", [1, 31, 64, 65, 511, 512, 513, 1023, 1025, 4097, 20_000])
def test_every_pixel_belongs_to_one_window_and_seams_are_far_from_edges(extent, window):
    found = spans(extent, window)
    assert [found[0].first, *(span.last for span in found)] == [*(span.first for span in found), extent]
    padded = -(-extent // 32) * 32
    assert found[-1].start + window == max(padded, window)
    margin = min(OVERLAP, window // 2 // 32 * 32) // 2
    for one, other in itertools.pairwise(found):
        assert one.start < other.start
        assert other.first - other.start >= margin
        assert one.start + window - one.last >= margin
    assert all(span.start % 32 == 0 for span in found)


@pytest.mark.parametrize("size", [(700, 1100), (1001, 513), (1300, 1), (1, 1300), (90, 130), (32, 32)])
@pytest.mark.parametrize("options", [{"batch_size": 1}, {"tiles": (512, 768), "batch_size": 3}])
def test_the_map_is_that_of_the_whole_look_where_the_network_looks_no_farther_than_the_overlap(size, options):
    image = specks(*size, count=6)
    whole, maps = NeighbourDetector(**OWN_SIZE, max_side=2000).detect_with_maps(image)
    detector = NeighbourDetector(**OWN_SIZE, max_side=2000, **({"tiles": 512} | options))
    found, seen = detector.detect_with_maps(image)
    assert 0 < maps["probability_map"].mean() <= 1
    for name, values in maps.items():
        np.testing.assert_array_equal(seen[name], values)
    assert_same(found, whole)
    assert len({shape for shape, _ in detector.calls}) == 1  # one shape is compiled


class EdgeDetector(RedDetector):
    """It sees nothing in the last rows and columns of what the network is given."""

    def _threshold(self, variables: object, images: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        maps = super()._threshold(variables, images, names)
        maps[names[0]][:, -40:] = maps[names[0]][:, :, -40:] = 0
        return maps


@pytest.mark.parametrize("size", [(700, 1100), (1290, 600), (530, 1030)])
def test_text_at_the_lower_and_right_edge_is_found_as_in_the_whole_look(size):
    image = np.zeros((*size, 3), np.uint8)
    image[-30:-5, -90:-5] = image[-30:-5, 20:120] = image[20:40, -90:-5] = WHITE
    whole = EdgeDetector(**OWN_SIZE, max_side=2000).detect(image)
    assert len(whole.polygons) == 3
    assert_same(EdgeDetector(**OWN_SIZE, max_side=2000, tiles=512).detect(image), whole)


@pytest.mark.parametrize(
    ("size", "tiles", "window"),
    [
        ((15_000, 600), 512, (512, 512)),
        ((600, 15_000), (512, 1024), (512, 1024)),
        ((300, 5000), 640, (384, 640)),  # no higher than the padded picture
        ((500, 5000), 5024, (512, 5024)),
        ((200, 300), 512, (256, 384)),
    ],
)
def test_a_line_across_seams_is_one_polygon_and_only_the_window_is_compiled(size, tiles, window):
    detector = RedDetector(**OWN_SIZE, tiles=tiles)
    found = detector.detect(with_lines(*size))
    assert len(found.polygons) == len(range(10, size[0] - 30, 60))
    assert all(np.ptp(polygon[:, 0]) > size[1] - 15 for polygon in found.polygons)
    assert found.notes == ()
    assert {shape[1:] for shape, _ in detector.calls} == {(*window, 3)}


@pytest.mark.parametrize(
    "options",
    [
        {"size": 800},
        {"resize": "official", "size": 640},
        {"size": None, "first_size": 640, "sizes": (400, 800)},
        {"size": None, "looks": "all", "sizes": (400, 800), "text_height": 24.0},
    ],
)
def test_each_look_is_seen_through_windows(options):
    image = with_lines(700, 1000)
    for size in ((700, 1000), (400, 300)):
        whole = RedDetector(**options, max_side=4000).detect(image[: size[0], : size[1]])
        windows = RedDetector(**options, max_side=4000, tiles=512, batch_size=3)
        assert_same(windows.detect(image[: size[0], : size[1]]), whole)
        assert all(max(shape[1:]) <= 512 for shape, _ in windows.calls)


def test_a_long_picture_is_not_shrunk_and_a_thin_one_is_not_enlarged_without_end():
    for size, seen in (
        ((60, 5000), (60, 5000)),
        ((60, 800), (75, 1000)),
        ((600, 900), (160, 240)),
        ((1, 500), (2, 1000)),
    ):
        detector = RedDetector(size=160, max_side=1000, tiles=512)
        found, maps = detector.detect_with_maps(np.zeros((*size, 3), np.uint8))
        assert maps["probability_map"].shape == seen
        assert found.notes == ()


def test_many_pictures_come_out_in_order_and_few_are_held(tmp_path: pathlib.Path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pictures = [with_lines(200 + 50 * (index % 3), 900, 40 + 10 * index) for index in range(9)]
    sources = [*pictures[:4], tmp_path / "broken.png", *pictures[4:]]
    taken: list[int] = []

    def opened():
        for index, source in enumerate(sources):
            taken.append(index)
            yield source

    detector = RedDetector(**OWN_SIZE, tiles=512, batch_size=4)
    found = []
    for one in detector.detect_many(opened()):
        assert len(taken) - len(found) <= 4
        found.append(one)
    assert isinstance(found.pop(4), BadPicture)
    for one, image in zip(found, pictures, strict=True):
        assert_same(one, detector.detect(image))
    sizes = list(detector.detect_each(pictures, lambda picture, one: (picture.image.shape, len(one.polygons))))
    assert sizes == [(image.shape, len(one.polygons)) for image, one in zip(pictures, found, strict=True)]
    assert {shape for shape, _ in detector.calls} == {(4, 256, 512, 3), (4, 384, 512, 3)}


def test_prediction_and_evaluation_go_through_windows(tmp_path: pathlib.Path):
    image = with_lines(300, 5000)
    cv2.imwrite(str(tmp_path / "panorama.png"), image)
    detector = RedDetector(**OWN_SIZE, tiles=512)
    predict_files(detector, tmp_path, tmp_path / "out")
    assert len((tmp_path / "out" / "icdar" / "res_panorama.txt").read_text().splitlines()) == 5
    truths = [quad(6, top, 4994, top + 15) for top in range(10, 270, 60)]
    scores = Evaluator([Sample("panorama.png", image, truths, [False] * 5)]).run(detector).scores
    assert (scores.precision, scores.recall) == (1, 1)


def test_the_shipped_network_finds_the_text_of_the_whole_look():
    image = np.full((128, 900, 3), 230, np.uint8)
    for top in (45, 105):
        text = f"a line that is longer than a window {top}"
        cv2.putText(image, text, (20, top), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (30, 30, 30), 3, cv2.LINE_AA)
    detector = Detector.from_pretrained("small-line", resize="none")
    whole, maps = detector.detect_with_maps(image)
    found, seen = detector.with_options(tiles=512).detect_with_maps(image)
    assert len(whole.polygons) == len(found.polygons) == 2
    for one, other in zip(found.polygons, whole.polygons, strict=True):
        np.testing.assert_allclose(one.min(0), other.min(0), atol=3)
        np.testing.assert_allclose(one.max(0), other.max(0), atol=3)
    assert np.abs(maps["probability_map"] - seen["probability_map"]).mean() < 0.005


@pytest.mark.parametrize("tiles", [-64, 32, 1000, 512.0, True, "auto", (512,), (512, 512, 512), (512, 1000), (0, 512)])
def test_a_window_that_cannot_be_is_refused(tiles):
    config = tiny.config()
    config.predict.tiles = tiles
    message = r"`config.predict.tiles` \(=.*\) must be None, the side of the windows, or their \(height, width\)"
    with pytest.raises(ValueError, match=message):
        check_predict(config.predict)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1024", 1024), ("(512, 1024)", (512, 1024)), ("[512, 1024]", [512, 1024]), ("None", None), ("0", 0)],
)
def test_windows_are_set_on_the_command_line(text, value):
    config = tiny.config()
    set_field(config, "predict.tiles", text)
    check_predict(config.predict)
    assert config.predict.tiles == value
