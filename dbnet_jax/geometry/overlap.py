"""Areas that polygons share."""

import numpy as np
import shapely
from jaxtyping import Float, Shaped


def shared_areas(
    shapes: Shaped[np.ndarray, "shapes"], others: Shaped[np.ndarray, "others"]
) -> Float[np.ndarray, "shapes others"]:
    """The areas of the intersections of shapely geometries (rows) with others (columns); 0 for a missing one (None)."""
    areas = np.zeros((len(shapes), len(others)))
    # Only where the boxes meet, because most words of a picture are far apart.
    row, column = shapely.STRtree(others).query(shapes)
    areas[row, column] = shapely.area(shapely.intersection(shapes[row], others[column]))
    return areas
