"""Pixels made on the device against those that the host makes: label maps, warped pictures, colors."""

import pathlib
import re
from typing import Any

import cv2
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from dbnet_jax.geometry import clip_to_image, offset_distance, offset_polygon
from dbnet_jax.images.canvas import canvas_scale, to_canvas
from dbnet_jax.training.device_pixels import TILE, draw_labels, make_renderer, warp
from input_pipeline.augment import Augmentation, Placement, sample_placement
from input_pipeline.datasets.sample import Sample
from input_pipeline.device_geometry import DeviceGeometry
from input_pipeline.labels import make_labels
from tests.helpers.paths import DATA

PLAIN = np.eye(3, 4, dtype=np.float32)


def geometry(canvas: tuple[int, int], crop: tuple[int, int], **options: Any) -> DeviceGeometry:
    defaults: dict[str, Any] = {"max_instances": 64, "max_vertices": 20, "stored": False}
    return DeviceGeometry(canvas, crop, shrink_ratio=0.4, min_text_size=8, **defaults | options)


def described(polygons: list[np.ndarray], ignore: list[bool], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """A picture that is its own crop."""
    sample = Sample("x", np.zeros((*size, 3), np.uint8), polygons, ignore)
    return geometry(size, size)(0, sample, Placement(np.eye(2, 3, dtype=np.float32), polygons, ignore, PLAIN))


def drawn(polygons: list[np.ndarray], ignore: list[bool], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The maps of one crop, from the polygons that the host would draw."""
    example = described(polygons, ignore, size)
    maps = jax.jit(draw_labels, static_argnums=2)(example["polygons"][None], example["distances"][None], size)
    return {name: np.asarray(values[0]) for name, values in maps.items()}


def assert_equal_but_at_borders(ours: np.ndarray, host: np.ndarray, *, splits: bool = False) -> None:
    """At most one pixel of a hundred differs, and all of those within two pixels of a border."""
    differ = np.abs(ours - host) > 0.01
    assert differ.mean() <= 0.01
    if not splits:
        # A pixel farther than two from every border would be the middle of five by five that differ.
        assert cv2.erode(differ.astype(np.uint8), np.ones((5, 5), np.uint8)).max() == 0


def assert_equals_host(polygons: list[np.ndarray], ignore: list[bool], size: tuple[int, int]) -> None:
    ours, host = drawn(polygons, ignore, size), make_labels(polygons, ignore, *size)
    clipped = [clip_to_image(polygon, *size) for polygon in polygons]
    pieces = [len(offset_polygon(p, -offset_distance(p, 0.4))) for p in clipped]
    for name in host:
        assert ours[name].shape == host[name].shape
        assert_equal_but_at_borders(ours[name], host[name], splits=name == "shrink_map" and max(pieces, default=0) > 1)


def read_case(path: pathlib.Path) -> tuple[list[np.ndarray], list[bool], tuple[int, int]]:
    with np.load(path) as case:
        polygons = np.split(case["poly_pts"], np.cumsum(case["poly_len"])[:-1])
        height, width = case["shape"].tolist()
        ignore = case["ignore_in"].astype(bool).tolist()
    kept = [len(p) > 0 and bool(np.isfinite(p).all()) for p in polygons]
    polygons = [np.asarray(p, np.float32) for p, keep in zip(polygons, kept, strict=True) if keep]
    return polygons, [flag for flag, keep in zip(ignore, kept, strict=True) if keep], (height, width)


@pytest.mark.parametrize("path", sorted(DATA.glob("labels_*.npz")), ids=lambda path: path.stem)
def test_the_device_draws_the_hosts_labels(path):
    assert_equals_host(*read_case(path))


@pytest.mark.parametrize("index", range(20))
def test_the_device_draws_the_hosts_labels_of_all_official_cases(shared, index):
    assert_equals_host(*read_case(shared / "golden" / f"labels_{index:02}.npz"))


def test_the_threshold_band_is_exact():
    """A rectangle of A = 4000 and L = 280: D = 12."""
    rectangle = np.array([[10, 10], [110, 10], [110, 50], [10, 50]], np.float32)
    ours = drawn([rectangle], [False], (80, 140))
    np.testing.assert_allclose(
        ours["threshold_map"][30, [110, 111, 116, 122, 130, 60]], [0.7, 0.7 - 0.4 / 12, 0.5, 0.3, 0.3, 0.3], atol=1e-6
    )
    assert ours["threshold_map"][54, 113] == pytest.approx(0.7 - 0.4 * 5 / 12, abs=1e-6)
    assert ours["shrink_map"][30, [21, 22, 60, 98, 99]].tolist() == [0, 1, 1, 1, 0]


def test_maps_of_any_size_and_of_no_text():
    maps = drawn([], [], (TILE + 5, 2 * TILE + 1))
    assert maps["shrink_map"].shape == (TILE + 5, 2 * TILE + 1)
    assert maps["shrink_map"].max() == maps["threshold_mask"].max() == 0
    assert maps["shrink_mask"].min() == 1
    assert np.unique(maps["threshold_map"]).tolist() == [np.float32(0.3)]


def test_pictures_of_a_batch_do_not_touch_each_other():
    cases = [read_case(path) for path in sorted(DATA.glob("labels_*.npz"))[:2]]
    size = cases[0][2]
    examples = [described(polygons, ignore, size) for polygons, ignore, _ in cases]
    batch = {key: np.stack([example[key] for example in examples]) for key in ("polygons", "distances")}
    together = jax.jit(draw_labels, static_argnums=2)(batch["polygons"], batch["distances"], size)
    for row, (polygons, ignore, _) in enumerate(cases):
        for name, alone in drawn(polygons, ignore, size).items():
            np.testing.assert_array_equal(together[name][row], alone)


@pytest.mark.parametrize("canvas", [(90, 120), (60, 60)])
def test_crops_equal_those_of_opencv(canvas):
    """A smooth picture, so that the shrinking onto a smaller canvas loses little."""
    y, x = np.mgrid[:90, :120]
    picture = np.stack([127 + 100 * np.sin(x / 13), 127 + 100 * np.cos(y / 11), x + y], -1).astype(np.uint8)
    sample = Sample("x", picture, [np.array([[20.0, 20], [60, 20], [60, 40], [20, 40]], np.float32)], [False])
    augmentation = Augmentation((64, 96), scale=(0.7, 1.5), jitter=0.3)
    make, renderer = geometry(canvas, (64, 96)), jax.jit(make_renderer((64, 96), 0.3, 0.7))
    for seed in range(4):
        placement = sample_placement(
            np.random.default_rng(seed), (90, 120), sample.polygons, sample.ignore, augmentation
        )
        example = make(0, sample, placement)
        ours = renderer({key: np.asarray(value)[None] for key, value in example.items()}, None)["image"][0]
        host = cv2.warpAffine(picture, placement.matrix, (96, 64), flags=cv2.INTER_LINEAR)
        host = cv2.transform(host, placement.color)
        shrunk = canvas_scale((90, 120), canvas) < 1
        inside = cv2.warpAffine(np.ones((90, 120), np.uint8), placement.matrix, (96, 64)) > 0
        inside = (
            cv2.erode(inside.astype(np.uint8), np.ones((11, 11)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        )
        difference = np.abs(np.asarray(ours) - host)[inside]
        assert difference.mean() < (2.0 if shrunk else 0.7)
        assert difference.max() < (8 if shrunk else 4)


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (2, 10_000), (10_000, 2), (1, 40_000)])
def test_a_thin_strip_keeps_a_pixel_of_its_short_side_on_the_canvas(size):
    shrunk = to_canvas(np.full((*size, 3), 255, np.uint8), (1024, 768))
    seen = np.argwhere(shrunk[..., 0] > 0).max(0) + 1
    assert seen.tolist() == [1 if side < 9 else room for side, room in zip(size, (1024, 768), strict=True)]


def test_a_larger_picture_is_shrunk_onto_the_canvas_and_a_smaller_one_is_not_enlarged():
    white = np.full((100, 50, 3), 255, np.uint8)
    small, large = to_canvas(white, (200, 80)), to_canvas(white, (50, 80))
    assert small.shape == (200, 80, 3)
    assert large.shape == (50, 80, 3)
    assert (small[:100, :50] == 255).all()
    assert small[100:].max() == small[:, 50:].max() == 0
    assert (large[2:48, 2:23] == 255).all()
    assert large[:, 26:].max() == 0


def test_colors_vary_as_the_matrix_says():
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    color = np.array([[0.5, 0.25, 0, 10], [0, 2, 0, -300], [0, 0, 1, 0]], np.float32)
    crops = warp(jnp.asarray(image), jnp.eye(2, 3)[None], jnp.asarray(color)[None], (8, 8))
    flat = image[0].reshape(-1, 3).astype(np.float32)
    expected = np.clip(flat @ color[:, :3].T + color[:, 3], 0, 255).reshape(8, 8, 3)
    np.testing.assert_allclose(crops[0], expected, atol=1e-3)


def test_what_the_device_compiles_sorts_nothing_and_calls_nobody():
    batch = {
        "picture": jnp.zeros((2, 64, 64, 3), jnp.uint8),
        "matrix": jnp.zeros((2, 2, 3)),
        "color": jnp.zeros((2, 3, 4)),
        "polygons": jnp.zeros((2, 16, 8, 2)),
        "distances": jnp.zeros((2, 16)),
    }
    render = jax.jit(make_renderer((64, 64), 0.3, 0.7))
    program = render.lower(batch, None).compile().as_text()
    assert not re.search(r"\bsort\(|callback|infeed|outfeed", program)
    assert jax.export.export(render, platforms=["cpu", "cuda", "tpu"])(batch, None).platforms == ("cpu", "cuda", "tpu")
