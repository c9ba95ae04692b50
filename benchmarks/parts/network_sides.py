"""The two sides of network.py: dbnet_jax and the PyTorch twin, each in a process of its own, with the same methods."""

import argparse
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

# Before the benchmarks, where other packages' names are.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np

SIDES = ("ours", "PyTorch")
CHECK_SIZE, CHECK_BATCH, CHECK_STEPS = (128, 160), 2, 2
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.007, 0.9, 1e-4


def milliseconds(step: Callable[[], Any], wait: Callable[[Any], None], steps: int) -> float:
    """Of one step, the mean of some that are sent one behind another."""
    begin = time.perf_counter()
    for _ in range(steps):
        result = step()
    wait(result)
    return 1000 * (time.perf_counter() - begin) / steps


class Ours:
    """dbnet_jax, as `run.py` trains and the detector detects. It also makes the weights and batches for both sides."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        import jax

        from dbnet_jax.models import create_model
        from dbnet_jax.sharding import data_mesh
        from dbnet_jax.training.cpu_memory import keep_memory

        keep_memory()
        self._jax, self._options, self._folder = jax, options, folder
        self._mesh = data_mesh(jax.devices()[:1])
        widths = {"width": options.width, "inner_channels": options.inner}
        self._models = {name: create_model(options.backbone, **widths, dtype=name) for name in ("float32", "bfloat16")}

    def device(self) -> tuple[str, str]:
        """ "cpu" or "gpu", and the device's name."""
        return self._jax.default_backend(), self._jax.devices()[0].device_kind

    def make_check(self) -> None:
        """Writes weights by their official names, a batch, and what dbnet_jax makes of them, all in float32."""
        from dbnet_jax.torch_weights import export_torch_weights

        model, batch = self._models["float32"], text_batch(CHECK_BATCH, *CHECK_SIZE)
        with self._jax.default_matmul_precision("highest"):
            self._variables = self._calibrated(batch["image"])
            names = ("probability_map", "threshold_map", "binary_map")
            maps = self._detect("float32")(self._variables, batch["image"], names)
            training, state = self._training("float32"), self._state()
            losses = []
            for _ in range(CHECK_STEPS):
                state, metrics = training(state, batch, None)
                losses.append(float(metrics["loss"]))
        np.savez(self._folder / "weights.npz", **export_torch_weights(self._variables, model))
        np.savez(self._folder / "check_batch.npz", **batch)
        np.savez(self._folder / "check_maps.npz", **maps, losses=losses)
        np.savez(self._folder / "check_trained.npz", **export_torch_weights(state.variables, model))

    def _calibrated(self, images: np.ndarray) -> dict[str, Any]:
        """Random weights with the running statistics of `images`: without them a deep fresh network overflows."""
        import jax

        from dbnet_jax.images.normalization import normalize

        model = self._models["float32"]

        def calibrate(pixels: Any) -> dict[str, Any]:
            fresh = model.init(jax.random.key(0), normalize(pixels[:1]))
            # As in a trained network, residual branches end small and maps are not saturated. As it is initialised,
            # float32 against float64 differs in a ResNet-50's gradient by 2 %, whoever computes it.
            for name, block in fresh["params"]["backbone"].items():
                if "block" in name:
                    block["bn3" if "bn3" in block else "bn2"]["scale"] *= 0.2
            for head in ("probability_head", "threshold_head"):
                fresh["params"][head]["up2"]["kernel"] *= 0.2
            _, updates = model.apply(fresh, normalize(pixels), train=True, mutable=["batch_stats"])
            # new = 0.9 · old + 0.1 · batch
            whole = jax.tree.map(lambda old, new: 10 * new - 9 * old, fresh["batch_stats"], updates["batch_stats"])
            return {"params": fresh["params"], "batch_stats": whole}

        return jax.jit(calibrate)(images)

    def _state(self) -> Any:
        from dbnet_jax.training.state import create_state

        model, optimizer = self._models["float32"], self._optimizer()
        return create_state(model, optimizer, 0, average=False, mesh=self._mesh, initial=self._variables)

    def _optimizer(self) -> Any:
        from dbnet_jax.optimizer import make_optimizer

        return make_optimizer(lambda step: LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def _training(self, dtype: str) -> Any:
        from dbnet_jax.tasks.detection import detection_loss
        from dbnet_jax.training.step import make_train_step
        from dbnet_jax.training.step_cost import MeasuredStep

        loss = detection_loss(self._models[dtype], "imagenet", {})
        return MeasuredStep(make_train_step(loss, self._optimizer(), self._mesh))

    def _detect(self, dtype: str) -> Any:
        from dbnet_jax.detection.network import make_eval_step

        return make_eval_step(self._models[dtype], "imagenet", self._mesh)

    def make_batch(self, batch_size: int) -> None:
        """Writes what is measured with."""
        np.savez(self._folder / "batch.npz", **text_batch(batch_size, *self._options.size))

    def prepare(self) -> dict[str, float]:
        """Compiles both passes; what a step of training costs."""
        from dbnet_jax.sharding import to_global

        options, self._steps = self._options, {}
        on_device = to_global(self._mesh, dict(np.load(self._folder / "batch.npz")))
        cost = {}
        if "forward" in options.passes:
            detect, images = self._detect(options.dtype), on_device["image"]
            self._steps["forward"] = lambda: detect(self._variables, images, ("probability_map",))
        if "training" in options.passes:
            training = self._training(options.dtype)
            state = self._state()

            def step() -> Any:
                nonlocal state
                state, metrics = training(state, on_device, None)
                return metrics["loss"]

            self._steps["training"] = step
        for run in self._steps.values():
            self._jax.block_until_ready(run())
        if "training" in self._steps:
            cost = training.cost._asdict()
        return cost

    def turn(self, name: str, steps: int) -> float:
        """Milliseconds of a step of a pass."""
        return milliseconds(self._steps[name], self._jax.block_until_ready, steps)


class Twin:
    """The network of torch_twin.py; bfloat16 by PyTorch's autocast, with float32 weights as ours."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path):
        import torch

        if options.keep_memory:
            from dbnet_jax.training.cpu_memory import keep_memory

            keep_memory()
        self._torch, self._options, self._folder = torch, options, folder
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._layout = torch.channels_last if options.channels_last else torch.contiguous_format

    def device(self) -> str:
        """ "cpu" or "cuda"."""
        return self._device

    def use_cpu(self) -> None:
        """Leaves the GPU alone."""
        self._device = "cpu"

    def check(self) -> dict[str, float]:
        """Loads the weights and compares. **Raises:** AssertionError where the twin computes something else."""
        torch = self._torch
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        expected = dict(np.load(self._folder / "check_maps.npz"))
        batch = self._tensors("check_batch.npz")
        twin, optimizer = self._loaded()
        twin.eval()
        with torch.no_grad():
            maps = twin(batch["image"])
        names = ("probability_map", "threshold_map", "binary_map")
        found = {name: value.cpu().numpy() for name, value in zip(names, maps, strict=True)}
        losses = [self._step(twin, optimizer, twin, batch).item() for _ in range(CHECK_STEPS)]
        torch.backends.cudnn.allow_tf32 = True
        assert np.std(expected["probability_map"]) > 0.01
        # The binary map's steepness is 50: it sees what the others differ by fifty times.
        for name in names[:2]:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(found["binary_map"], expected["binary_map"], rtol=0, atol=5e-3)
        np.testing.assert_allclose(losses, expected["losses"], rtol=1e-3)
        update = self._difference_of_updates(twin)
        assert update < 0.02, update
        difference = {name: float(np.abs(found[name] - expected[name]).max()) for name in names}
        return difference | {"loss": float(np.abs(losses / expected["losses"] - 1).max()), "update": update}

    def _difference_of_updates(self, twin: Any) -> float:
        """Between what the steps changed on either side, over all weights and statistics, relative."""
        before, after = (np.load(self._folder / name) for name in ("weights.npz", "check_trained.npz"))
        found = {name: value.cpu().numpy() for name, value in twin.state_dict().items()}
        squared = sum(np.sum((found[name] - after[name]) ** 2, dtype=float) for name in after.files)
        return float((squared / sum(np.sum((after[n] - before[n]) ** 2, dtype=float) for n in after.files)) ** 0.5)

    def _loaded(self) -> tuple[Any, Any]:
        from parts.torch_twin import Twin as Network

        options = self._options
        twin = Network(options.backbone, options.width, options.inner).load(np.load(self._folder / "weights.npz"))
        twin = twin.to(self._device, memory_format=self._layout)
        rates = {"lr": LEARNING_RATE, "momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY}
        return twin, self._torch.optim.SGD(twin.parameters(), **rates, fused=self._device == "cuda")

    def _tensors(self, file: str) -> dict[str, Any]:
        batch = np.load(self._folder / file)
        tensors = {name: self._torch.from_numpy(batch[name]).to(self._device) for name in batch.files}
        tensors["image"] = tensors["image"].permute(0, 3, 1, 2).contiguous(memory_format=self._layout)
        return tensors

    def _step(self, twin: Any, optimizer: Any, network: Any, batch: dict[str, Any], dtype: str = "float32") -> Any:
        from parts.torch_twin import db_loss

        twin.train()
        with self._autocast(dtype):
            maps = network(batch["image"])
        loss = db_loss(maps, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def _autocast(self, dtype: str) -> Any:
        return self._torch.autocast(self._device, self._torch.bfloat16, enabled=dtype == "bfloat16")

    def prepare(self) -> None:
        """Loads the batch, and compiles both passes."""
        options, torch = self._options, self._torch
        batch = self._tensors("batch.npz")
        twin, optimizer = self._loaded()
        torch.compiler.reset()
        network = torch.compile(twin, dynamic=False) if options.compile else twin

        def detect() -> Any:
            twin.eval()
            with torch.no_grad(), self._autocast(options.dtype):
                return network(batch["image"], maps=False)

        passes = {
            "forward": detect,
            "training": lambda: self._step(twin, optimizer, network, batch, options.dtype),
        }
        self._steps = {name: passes[name] for name in options.passes}
        torch.backends.cudnn.benchmark = False
        self.warm_up()

    def warm_up(self) -> None:
        """Runs both passes, from the second time on as cuDNN finds fastest: to be called while the GPU is idle."""
        for run in self._steps.values():
            run()
        self._torch.backends.cudnn.benchmark = True

    def turn(self, name: str, steps: int) -> float:
        """Milliseconds of a step of a pass."""
        return milliseconds(self._steps[name], self._wait, steps)

    def _wait(self, result: Any) -> None:
        if self._device == "cuda":
            self._torch.cuda.synchronize()


def text_batch(batch_size: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Noise as pictures, and the label maps of twenty words in each."""
    from input_pipeline.labels import make_labels
    from parts.scenes import text_polygons

    polygons = text_polygons(20, height, width, heights=(height / 30, height / 12))
    labels = make_labels(polygons, [index % 10 == 9 for index in range(20)], height, width, min_text_size=2)
    images = np.random.default_rng(0).integers(0, 256, (batch_size, height, width, 3), np.uint8)
    flipped = {name: np.stack([label[:: 1 - 2 * (i % 2)] for i in range(batch_size)]) for name, label in labels.items()}
    return {"image": images, **flipped}
