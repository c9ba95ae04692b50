"""From a picture to polygons: the pipeline, the choice of the size, and the results."""
