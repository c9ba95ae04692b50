"""Polygons: areas, perimeters, offsets, clipping and affine maps, without JAX."""

from dbnet_jax.geometry.polygons import (
    Number,
    Polygon,
    clip_to_image,
    crop_polygon,
    measure_polygons,
    next_vertices,
    offset_distance,
    offset_path,
    offset_polygon,
    order_quad,
    polygon_area,
    polygon_perimeter,
    transform_points,
)

__all__ = [
    "Number",
    "Polygon",
    "clip_to_image",
    "crop_polygon",
    "measure_polygons",
    "next_vertices",
    "offset_distance",
    "offset_path",
    "offset_polygon",
    "order_quad",
    "polygon_area",
    "polygon_perimeter",
    "transform_points",
]
