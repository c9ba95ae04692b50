"""What the service accepts."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What the service accepts. All fields are positive.

    - `picture_bytes`: of one picture file.
    - `batch_bytes`, `batch_pictures`: of all pictures in a request to /detect/batch, and how many they are.
    - `pixels`: of one picture, height × width.
    - `body_seconds`: from the headers of a request to the end of its body; also for each part of the answer.
    - `waiting`: pictures that wait for the worker thread.
    - `requests`: requests with a body at a time, those included whose body is still on its way.
    - `held_bytes`: of the bodies of all these requests together.
    """

    picture_bytes: int = 20 * MEBIBYTE
    batch_bytes: int = 80 * MEBIBYTE
    batch_pictures: int = 16
    pixels: int = 50_000_000
    body_seconds: float = 30.0
    waiting: int = 64
    requests: int = 256
    held_bytes: int = 512 * MEBIBYTE
