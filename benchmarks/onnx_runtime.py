"""Picture files detected a second on a CPU, by XLA and by ONNX Runtime: the same weights, the same steps around them.

    python benchmarks/onnx_runtime.py
    python benchmarks/onnx_runtime.py --dir=PHOTOS --width=16 --inner=64 --json=result.json

Needs PyTorch, which writes the ONNX file, onnx and onnxruntime. benchmarks/README.md says how to read the numbers.
"""

import argparse
import copy
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from detection import one_after_another, picture_files, write_pictures
from parts import measuring

# Before the folder of this file, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

PACKAGES = ("jax", "jaxlib", "flax", "numpy", "opencv-python-headless", "onnxruntime", "torch")
SIDES = ("ours", "ONNX Runtime")


def main() -> None:
    """Measures, prints and writes."""
    options = parse_options()
    os.environ["JAX_PLATFORMS"] = "cpu"
    with tempfile.TemporaryDirectory() as folder:
        pictures = pathlib.Path(options.dir or folder)
        if not options.dir:
            write_pictures(pictures, options.pictures)
        files = picture_files(pictures)[: options.pictures]
        ours = make_detector(options)
        theirs = copy.copy(ours)
        theirs._eval_step = onnx_step(export(ours, options, pathlib.Path(folder) / "network.onnx"))
        result = measuring.environment(PACKAGES) | {
            name: value for name, value in vars(options).items() if name not in ("json", "dir")
        }
        result["difference"] = difference(ours, theirs, files)
        result |= {"milliseconds": measure(dict(zip(SIDES, (ours, theirs), strict=True)), files, options.repeats)}
    show(result)
    measuring.write_json(result, options.json)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", help="a folder of pictures (default: synthetic ones of 720×1280, as JPEG)")
    parser.add_argument("--pictures", type=int, default=16, help="how many")
    parser.add_argument("--backbone", choices=("resnet18", "resnet50"), default="resnet18")
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage; less is a narrow model")
    parser.add_argument("--inner", type=int, default=256, help="channels of the pyramid")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each, of which the median is shown")
    parser.add_argument("--json", help="a file to write the result to")
    return parser.parse_args()


def make_detector(options: argparse.Namespace) -> Any:
    """Weights are random; the time does not depend on them, but for that of what is found, which is next to nothing."""
    import jax
    import jax.numpy as jnp

    from configs import common
    from dbnet_jax.detector import Detector
    from dbnet_jax.models.from_config import model_from_config

    config = common.get_config()
    config.model.update({"backbone": options.backbone, "width": options.width, "inner_channels": options.inner})
    variables = jax.jit(model_from_config(config).init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    return Detector(config, dict(variables))


def export(detector: Any, options: argparse.Namespace, file: pathlib.Path) -> pathlib.Path:
    """Writes the plain PyTorch twin with the detector's weights as ONNX, for pictures of any size."""
    import torch
    from parts.torch_twin import Twin

    from dbnet_jax.models.from_config import model_from_config
    from dbnet_jax.torch_weights import export_torch_weights

    class Pixels(torch.nn.Module):
        def __init__(self, twin: torch.nn.Module):
            super().__init__()
            self.twin = twin

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.twin(images.permute(0, 3, 1, 2), maps=False)[0]

    arrays = export_torch_weights(detector._variables, model_from_config(detector.config))
    twin = Pixels(Twin(options.backbone, options.width, options.inner).load(arrays)).eval()
    axes = {"images": {0: "batch", 1: "height", 2: "width"}}
    example = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    torch.onnx.export(twin, (example,), file, input_names=["images"], dynamic_axes=axes, dynamo=False)
    return file


def onnx_step(file: pathlib.Path) -> Callable[..., dict[str, np.ndarray]]:
    """ONNX Runtime in the place of the detector's compiled forward pass."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def step(variables: Any, images: Any, maps: tuple[str, ...]) -> dict[str, np.ndarray]:
        (probability_map,) = session.run(None, {"images": np.asarray(images)})
        return dict.fromkeys(maps, probability_map)

    return step


def difference(ours: Any, theirs: Any, files: list[pathlib.Path]) -> float:
    """The largest between the two probability maps of a picture. **Raises:** ValueError where it is no rounding."""
    pixels, _ = ours._fit(ours._read(files[0]).image, ours._looks.first_size)
    maps = [
        np.asarray(side._eval_step(side._variables, pixels[None], ("probability_map",))["probability_map"])
        for side in (ours, theirs)
    ]
    largest = float(np.abs(maps[0] - maps[1]).max())
    if largest > 1e-3 or np.std(maps[0]) < 1e-3:
        raise ValueError(f"the two networks differ by {largest} in a probability")
    return largest


def measure(detectors: Mapping[str, Any], files: list[pathlib.Path], repeats: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds a picture of both sides: the network alone, and from files to polygons in either way."""
    ours = detectors["ours"]
    pixels = [ours._fit(ours._read(file).image, ours._looks.first_size)[0][None] for file in files]

    def network(detector: Any) -> None:
        for one in pixels:
            np.asarray(detector._eval_step(detector._variables, one, ("probability_map",))["probability_map"])

    tasks = {
        "network alone": network,
        "sequential": lambda detector: one_after_another(lambda: list(detector.detect_many(files))),
        "overlapped": lambda detector: list(detector.detect_many(files)),
    }
    found: dict[str, dict[str, list[float]]] = {task: {side: [] for side in detectors} for task in tasks}
    for repeat in range(repeats + 1):
        for task, do in tasks.items():
            for side, detector in detectors.items():
                start = time.perf_counter()
                do(detector)
                if repeat > 0:  # the first warms up
                    found[task][side].append(1000 * (time.perf_counter() - start) / len(files))
    return found


def show(result: dict[str, Any]) -> None:
    """Prints the result as a table."""
    print(f"{result['backbone']}, width {result['width']}, {result['inner']} in the pyramid, one picture at a time")
    measuring.show_environment(result)
    print(f"largest difference of the probability maps: {result['difference']:.1e}")
    print(f"\n{'ms a picture':<16}" + "".join(f"{side:>16}" for side in SIDES) + f"{'ratio':>8}")
    for task, sides in result["milliseconds"].items():
        ours, theirs = (sides[side] for side in SIDES)
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        print(f"{task:<16}{statistics.median(ours):>16.1f}{statistics.median(theirs):>16.1f}{ratio:>8.2f}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
