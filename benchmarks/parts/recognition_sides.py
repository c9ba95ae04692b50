"""The sides of recognition.py, each in a process of its own, with the same methods: ours, PyTorch, ONNX Runtime."""

import argparse
import os
import pathlib
import sys
import time
from collections.abc import Callable

# Before the benchmarks, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np

OURS, TORCH, ONNX = "ours", "PyTorch", "ONNX Runtime"
CLASSES, HIDDEN, CHECKED = 95, 256, 3
TOLERANCE = 1e-3  # of a logit


def milliseconds(run: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a run on the clock, and of the processor in all threads of this process."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return 1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - processor)


def keep_to_cores(count: int) -> None:
    """This process on `count` cores, with as many threads in XLA's pool; before JAX starts."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    os.environ |= {"JAX_PLATFORMS": "cpu", "NPROC": str(count)}


class Side:
    """What the sides share. `self._network` takes float32 [batch, 32, width, 1] and gives logits, a NumPy array."""

    _network: Callable[[np.ndarray], np.ndarray]

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        keep_to_cores(options.threads)
        from dbnet_jax.training.cpu_memory import keep_memory

        keep_memory()
        self._folder, self._threads = folder, options.threads
        rng = np.random.default_rng(0)
        self._crops = rng.integers(0, 256, (options.crops, 32, options.width), np.uint8)
        self._images = (self._crops[..., None] / 127.5 - 1).astype(np.float32)

    def check(self) -> float:
        """The largest difference of a logit from ours. **Raises:** ValueError where it is no rounding."""
        wanted = np.load(self._folder / "logits.npy")
        largest = float(np.abs(self._network(self._images[:CHECKED]) - wanted).max())
        if not largest < TOLERANCE or np.std(wanted) < 0.1:
            raise ValueError(f"the networks differ by {largest} in a logit")
        return largest

    def turn(self, batch: int) -> tuple[float, float]:
        """Milliseconds for all crops, in batches of `batch`: on the clock, and of the processor."""

        def run() -> None:
            for start in range(0, len(self._images), batch):
                self._network(self._images[start : start + batch])

        return milliseconds(run)


class Ours(Side):
    """dbnet_jax. It also makes the weights for all sides."""

    def load(self, backbone: str) -> None:
        """Makes random weights, and writes them and the logits of some crops."""
        import jax
        from flax.traverse_util import flatten_dict, unflatten_dict

        from dbnet_jax.config.recognition import recognition_config
        from dbnet_jax.models.layers.initialization import fresh_variables
        from dbnet_jax.recognition import Recognizer
        from dbnet_jax.recognition.recognizer import recognizer_from_config
        from dbnet_jax.tasks.recognition import Recognition

        config = recognition_config()
        config.model.update({"backbone": backbone, "hidden": HIDDEN})
        model, example = recognizer_from_config(config), Recognition().example(config)
        made = flatten_dict(jax.jit(lambda: fresh_variables(model, 0, example))(), sep="/")
        rng = np.random.default_rng(0)
        arrays = {path: np.array(array) for path, array in made.items()}
        for path, array in arrays.items():  # as of a trained network
            if path.endswith(("/bias", "/mean")):
                array[:] = rng.normal(0, 0.1, array.shape)
            elif path.endswith("/var"):
                array[:] = rng.uniform(0.5, 2, array.shape)
        variables = jax.device_put(unflatten_dict(arrays, sep="/"))
        apply = jax.jit(model.apply)
        self._network = lambda images: np.asarray(apply(variables, images))
        self._recognizer = Recognizer(config, variables)
        np.savez(self._folder / "weights.npz", **arrays)
        np.save(self._folder / "logits.npy", self._network(self._images[:CHECKED]))

    def read(self) -> tuple[float, float]:
        """As `turn`, but as `Recognizer` reads them, to texts."""
        crops = list(self._crops)
        return milliseconds(lambda: self._recognizer.read_upright(crops))


class Torch(Side):
    """The network of torch_crnn.py, channels last."""

    def load(self, backbone: str) -> None:
        import torch

        from parts.torch_crnn import Crnn

        torch.set_num_threads(self._threads)
        twin = Crnn(backbone, CLASSES, HIDDEN).load(np.load(self._folder / "weights.npz")).eval()
        self._twin = twin.to(memory_format=torch.channels_last)

        def network(images: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
                return np.asarray(self._twin(tensor))

        self._network = network


class OnnxRuntime(Side):
    """The same network, written by `torch.onnx.export`."""

    def load(self, backbone: str) -> None:
        import onnxruntime
        import torch

        from parts.torch_crnn import Crnn

        twin = Crnn(backbone, CLASSES, HIDDEN).load(np.load(self._folder / "weights.npz")).eval()
        file, axes = self._folder / "network.onnx", {"images": {0: "batch", 3: "width"}}
        example = (torch.zeros(2, 1, 32, 64),)
        torch.onnx.export(twin, example, file, input_names=["images"], dynamic_axes=axes, dynamo=False)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self._threads
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])

        def network(images: np.ndarray) -> np.ndarray:
            (logits,) = session.run(None, {"images": images.transpose(0, 3, 1, 2)})
            return np.asarray(logits)

        self._network = network


SIDES = {OURS: Ours, TORCH: Torch, ONNX: OnnxRuntime}
