"""Renders the pictures of `make demo`, docs/images/samples: scenes on drawn grounds, in the fonts that OpenCV carries.

    python docs/images/render_samples.py [FOLDER]

The scenes are those of the day on which it ran: what changes in `input_pipeline/datasets/rendered/scenes` changes them.
"""

import pathlib
import sys

import cv2

from input_pipeline.datasets.rendered.scenes.dataset import SceneDataset

PICTURES = {"scripts": 3, "words": 10, "signs": 13, "latin": 75}  # which scene each is

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "samples")
folder.mkdir(parents=True, exist_ok=True)
scenes = SceneDataset(100, seed=3, split="test", size=(600, 800), fonts="builtin")
for name, index in PICTURES.items():
    _, jpeg = cv2.imencode(".jpg", scenes[index].image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    (folder / f"{name}.jpg").write_bytes(jpeg.tobytes())
