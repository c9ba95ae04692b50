"""Lines that are so long that 1/500 of their outline is more than their thickness."""

import cv2
import numpy as np
import pytest
import shapely

from dbnet_jax.postprocess import extract_polygons


@pytest.mark.parametrize("thickness", [5, 9])
@pytest.mark.parametrize("bend", [0, 60])  # pixels between the ends and the middle
def test_a_long_line_is_found_whole(thickness: int, bend: int) -> None:
    x = np.linspace(20, 2980, 200)
    line = np.stack([x, 100 + bend * np.sin(np.pi * (x - 20) / 2960)], -1)
    probability_map = np.zeros((240, 3000), np.float32)
    cv2.polylines(probability_map, [np.rint(line).astype(np.int32)], False, 0.9, thickness)
    found = extract_polygons(probability_map, image_size=(240, 3000), shape="polygon", unclip_ratio=2.0)
    assert len(found.polygons) == 1
    polygon = shapely.Polygon(found.polygons[0])
    # It grows by twice half of its thickness, on both sides.
    truth = shapely.LineString(line).buffer(1.5 * thickness)
    assert polygon.intersection(truth).area / polygon.union(truth).area > 0.75
