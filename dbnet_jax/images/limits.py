"""How many pixels a picture may have."""

# OpenCV's limits.
_MOST_PIXELS, _LONGEST_SIDE = 2**30, 2**20


def check_size(
    size: tuple[int, int], max_pixels: int | None, hint: str = "save it smaller, or cut it into parts"
) -> None:
    """Refuses a picture of more pixels than a limit.

    **Arguments:** `size`: (height, width) in pixels; `max_pixels`: the limit, None is OpenCV's own; `hint`: what to do.

    **Raises:** ValueError, which states the size and the limit.
    """
    (height, width), count = size, size[0] * size[1]
    what = f"has {width}×{height} pixels ({count / 1e6:,.0f} million)"
    if max_pixels is not None and count > max_pixels:
        raise ValueError(f"{what}, more than `config.predict.max_pixels` (={max_pixels}); {hint}, or raise the limit")
    if count > _MOST_PIXELS or max(size) > _LONGEST_SIDE:
        limit = f"OpenCV reads at most 2^30 = {_MOST_PIXELS} pixels, and {_LONGEST_SIDE} in a side"
        raise ValueError(f"{what}; {limit}: {hint}")
