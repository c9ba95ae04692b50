"""From a picture to polygons: the stages, the sizes a picture is seen at, and the results."""
