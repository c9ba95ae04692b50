"""The effects of light, lens, sensor and file format on a scene."""

import dataclasses

import cv2
import numpy as np

from dbnet_jax.typing import Image


@dataclasses.dataclass(frozen=True)
class Camera:
    """One way of taking a picture.

    **Arguments:**

    - `light`: how much the brightness varies across the picture, as a share; 0 is even light.
    - `spot`: whether the picture has a bright spot.
    - `gain`: the contrast about a middle grey.
    - `offset`: added brightness, in levels of 255.
    - `exposure`: the last factor of the brightness, in (0, 1].
    - `cast`: the gains of red, green and blue.
    - `blur`: the standard deviation of the lens's blur, in pixels.
    - `motion`: the length of the shake in pixels, and its direction in radians.
    - `noise`: the noise of the sensor, in levels of 255.
    - `quality`: the JPEG quality, 1 to 100; 0 is no compression.
    """

    light: float = 0.0
    spot: bool = False
    gain: float = 1.0
    offset: float = 0.0
    exposure: float = 1.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    motion: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    quality: int = 0

    @property
    def smear(self) -> float:
        """The size, in pixels, of details that it blurs away."""
        return 3.5 * self.blur + 0.7 * self.motion[0]


def pick_camera(rng: np.random.Generator) -> Camera:
    """A random camera; three in ten change the picture hardly."""
    if rng.random() < 0.3:
        return Camera(quality=int(rng.integers(60, 96)))
    often = rng.random(9)
    return Camera(
        light=float(rng.uniform(0.1, 0.5)) if often[0] < 0.4 else 0.0,
        spot=bool(often[1] < 0.08),
        gain=float(rng.uniform(0.55, 1.3)) if often[2] < 0.5 else 1.0,
        offset=float(rng.uniform(-45, 45)) if often[2] < 0.5 else 0.0,
        # Half of ICDAR2015's photos have a mean below 90 of 255.
        exposure=float(rng.uniform(0.3, 0.9)) if often[8] < 0.6 else 1.0,
        cast=tuple(rng.uniform(0.8, 1.15, 3).tolist()) if often[3] < 0.3 else (1.0, 1.0, 1.0),  # type: ignore[arg-type]
        blur=float(rng.uniform(0.3, 0.8) if often[4] < 0.35 else rng.uniform(0.8, 2.2)) if often[4] < 0.5 else 0.0,
        motion=(float(rng.uniform(2, 11)), float(rng.uniform(0, np.pi))) if often[5] < 0.2 else (0.0, 0.0),
        noise=float(rng.uniform(2, 16)) if often[6] < 0.5 else 0.0,
        quality=int(rng.integers(25, 96)) if often[7] < 0.7 else 0,
    )


def photograph(rng: np.random.Generator, scene: Image, camera: Camera) -> Image:
    """The picture that `camera` takes of `scene`."""
    picture = _light(rng, scene, camera)
    if camera.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), camera.blur)
    if camera.motion[0]:
        picture = cv2.filter2D(picture, -1, _shake(*camera.motion))
    if camera.noise:
        amount = round(camera.noise)
        noise = rng.integers(0, 2 * amount + 1, picture.shape, np.uint8)
        picture = cv2.addWeighted(picture, 1, noise, 1, -amount)
    if camera.quality:
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1]
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(picture, np.uint8)


def _light(rng: np.random.Generator, scene: Image, camera: Camera) -> Image:
    """Changes contrast, brightness and colour, then adds uneven light, then the exposure."""
    matrix = np.diag(camera.gain * np.array(camera.cast))
    shift = np.full((3, 1), 127.5 * (1 - camera.gain) + camera.offset)
    if camera.gain != 1 or camera.offset or camera.cast != (1.0, 1.0, 1.0):
        scene = np.asarray(cv2.transform(scene, np.hstack([matrix, shift])), np.uint8)
    if camera.light:
        knots = rng.uniform(1 - camera.light, 1 + 0.5 * camera.light, (*rng.integers(2, 5, 2),)).astype(np.float32)
        field = cv2.resize(knots, scene.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        scene = np.asarray(cv2.multiply(scene, cv2.merge([field] * 3), dtype=cv2.CV_8U), np.uint8)
    if camera.spot:
        height, width = scene.shape[:2]
        glow = np.zeros((32, 32), np.uint8)
        cv2.circle(glow, tuple(rng.integers(4, 28, 2).tolist()), int(rng.integers(2, 6)), (255,), -1)
        spread = cv2.resize(cv2.GaussianBlur(glow, (0, 0), 2.5), (width, height), interpolation=cv2.INTER_LINEAR)
        scene = np.asarray(cv2.addWeighted(scene, 1, cv2.merge([spread] * 3), rng.uniform(0.3, 0.8), 0), np.uint8)
    return scene if camera.exposure == 1 else np.asarray(cv2.convertScaleAbs(scene, alpha=camera.exposure), np.uint8)


def _shake(length: float, direction: float) -> np.ndarray:
    """The filter of a shake: a line of `length` pixels."""
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    reach = np.array([np.cos(direction), np.sin(direction)]) * (length / 2)
    ends = np.rint((side // 2 + np.stack([-reach, reach])) * 16).astype(int).tolist()
    cv2.line(kernel, ends[0], ends[1], (1.0,), 1, cv2.LINE_AA, 4)
    return kernel / max(float(kernel.sum()), 1e-6)
