"""The recogniser in plain PyTorch, to measure against: written as most would write it, with our names of arrays.

A VGG or a narrow residual network, two bidirectional LSTMs and the logits of CTC. It computes what dbnet_jax computes;
recognition.py checks that before it measures.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

GATES = "ifgo"
KINDS = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class Vgg(nn.Module):
    """The seven convolutions of the CRNN paper."""

    def __init__(self) -> None:
        super().__init__()
        channels = (1, 64, 128, 256, 256, 512, 512)
        for number in range(6):
            setattr(self, f"conv{number}", nn.Conv2d(channels[number], channels[number + 1], 3, padding=1))
        self.conv6 = nn.Conv2d(512, 512, 2)
        self.batchnorm2, self.batchnorm4, self.batchnorm6 = (nn.BatchNorm2d(count) for count in (256, 512, 512))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number in range(7):
            x = getattr(self, f"conv{number}")(x)
            if number in (2, 4, 6):
                x = getattr(self, f"batchnorm{number}")(x)
            x = functional.relu(x, inplace=True)
            if number in (0, 1):
                x = functional.max_pool2d(x, 2)
            elif number in (3, 5):
                x = functional.max_pool2d(x, 2, (2, 1), (0, 1))
        return x


class Residual(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1, self.bn2, self.bn_shortcut = (nn.BatchNorm2d(channels) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.bn_shortcut(self.shortcut(x)), inplace=True)


class Slim(nn.Module):
    """The narrow residual network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.bn0 = nn.Conv2d(1, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        self.stage0_0, self.stage1_0, self.stage2_0 = Residual(32, 64), Residual(64, 128), Residual(128, 256)
        self.flat, self.bn_flat = nn.Conv2d(256, 256, (2, 1)), nn.BatchNorm2d(256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn0(self.conv0(x)), inplace=True)
        x = functional.max_pool2d(self.stage0_0(x), 2)
        x = functional.max_pool2d(self.stage1_0(x), (2, 1))
        x = functional.max_pool2d(self.stage2_0(x), (2, 1))
        return functional.relu(self.bn_flat(self.flat(x)), inplace=True)


class Crnn(nn.Module):
    """The whole recogniser; pictures are grey [batch, 1, 32, width] in [−1, 1].

    **Arguments:** `backbone`: "vgg" or "slim"; `classes`; `hidden`: units of an LSTM in each direction.
    """

    def __init__(self, backbone: str, classes: int, hidden: int):
        super().__init__()
        self.encoder = Vgg() if backbone == "vgg" else Slim()
        features = 512 if backbone == "vgg" else 256
        self.lstm0 = nn.LSTM(features, hidden, bidirectional=True, batch_first=True)
        self.embedding0 = nn.Linear(2 * hidden, hidden)
        self.lstm1 = nn.LSTM(hidden, hidden, bidirectional=True, batch_first=True)
        self.output = nn.Linear(2 * hidden, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        columns = self.encoder(images)[:, :, 0].transpose(1, 2)
        columns = self.embedding0(self.lstm0(columns)[0])
        return self.output(self.lstm1(columns)[0])

    def load(self, arrays: Mapping[str, np.ndarray]) -> "Crnn":
        """Takes our arrays by their paths. **Raises:** RuntimeError unless they are all there, and no other."""
        found: dict[str, np.ndarray] = {}
        for path, array in arrays.items():
            module, kind = path.split("/", 1)[1].rsplit("/", 1)
            if not module.startswith("lstm"):
                order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
                found[f"{module.replace('/', '.')}.{KINDS[kind]}"] = array.transpose(order)
        for layer in ("lstm0", "lstm1"):
            for direction, suffix in (("forward", ""), ("backward", "_reverse")):
                for source in "ih":
                    kernels = [arrays[f"params/{layer}_{direction}/{source}{gate}/kernel"].T for gate in GATES]
                    found[f"{layer}.weight_{source}h_l0{suffix}"] = np.concatenate(kernels)
                bias = np.concatenate([arrays[f"params/{layer}_{direction}/h{gate}/bias"] for gate in GATES])
                found |= {f"{layer}.bias_ih_l0{suffix}": bias, f"{layer}.bias_hh_l0{suffix}": np.zeros_like(bias)}
        counters = {name: value for name, value in self.state_dict().items() if name.endswith("num_batches_tracked")}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}
        self.load_state_dict(tensors | counters)
        return self
