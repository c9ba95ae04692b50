"""The detector in plain PyTorch, to measure against: written as most would write it, with the official names of arrays.

ResNet-18 or 50, the feature pyramid, two heads, the differentiable binarisation, and the loss with `torch.topk`. It
computes what dbnet_jax computes; network.py checks that before it measures.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

STAGES = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
LABELS = ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")
EPSILON = 1e-6


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size but for its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3), nn.BatchNorm2d(channels)
        self.downsample = shortcut(inputs, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.downsample(x), inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        outputs = channels * self.expansion
        self.conv1, self.bn1 = conv(inputs, channels, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = conv(channels, outputs, 1), nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y + self.downsample(x), inplace=True)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """What a block adds its input as."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """Features at strides 4, 8, 16 and 32."""

    def __init__(self, name: str, width: int):
        super().__init__()
        block = BasicBlock if name == "resnet18" else Bottleneck
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        inputs, self.channels = width, []
        for index, blocks in enumerate(STAGES[name]):
            channels, layers = width * 2**index, []
            for place in range(blocks):
                layers.append(block(inputs, channels, 2 if index > 0 and place == 0 else 1))
                inputs = channels * block.expansion
            setattr(self, f"layer{index + 1}", nn.Sequential(*layers))
            self.channels.append(inputs)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        features = []
        for index in range(4):
            x = getattr(self, f"layer{index + 1}")(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """The pyramid of the features, and a head for each of two maps."""

    def __init__(self, channels: list[int], inner: int, k: float):
        super().__init__()
        self.k = k
        for level, inputs in zip((2, 3, 4, 5), channels, strict=True):
            setattr(self, f"in{level}", conv(inputs, inner, 1))
            out = conv(inner, inner // 4, 3)
            grown = nn.Sequential(out, nn.Upsample(scale_factor=2 ** (level - 2)))
            setattr(self, f"out{level}", out if level == 2 else grown)
        self.binarize, self.thresh = head(inner), head(inner)

    def forward(self, features: list[torch.Tensor], maps: bool) -> tuple[torch.Tensor, ...]:
        above, levels = None, []
        for level in (5, 4, 3, 2):
            x = getattr(self, f"in{level}")(features[level - 2])
            above = x if above is None else x + functional.interpolate(above, scale_factor=2)
            levels.append(getattr(self, f"out{level}")(above))
        fused = torch.cat(levels, 1)
        probability_map = torch.sigmoid(self.binarize(fused).float())[:, 0]
        if not maps:
            return (probability_map,)
        threshold_map = torch.sigmoid(self.thresh(fused).float())[:, 0]
        return probability_map, threshold_map, torch.sigmoid(self.k * (probability_map - threshold_map))


def head(inner: int) -> nn.Sequential:
    """The logits of one map, four times the size of the features."""
    channels = inner // 4
    return nn.Sequential(
        conv(inner, channels, 3),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(channels, channels, 2, 2),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(channels, 1, 2, 2),
    )


class Twin(nn.Module):
    """The whole detector.

    **Arguments:** `name` of the backbone, `width` of its first stage, `inner` channels of the pyramid, `k` of the
    binarisation.
    """

    def __init__(self, name: str, width: int = 64, inner: int = 256, k: float = 50.0):
        super().__init__()
        self.backbone = ResNet(name, width)
        self.decoder = Decoder(self.backbone.channels, inner, k)

    def forward(self, images: torch.Tensor, maps: bool = True) -> tuple[torch.Tensor, ...]:
        """Of RGB [batch, 3, height, width] in [0, 255], the probability map, and the threshold and binary `maps`."""
        mean, deviation = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        return self.decoder(self.backbone((images.float() - mean) / deviation), maps)

    def load(self, arrays: Mapping[str, np.ndarray]) -> "Twin":
        """Takes arrays by their official names. **Raises:** RuntimeError unless they are all there, and no other."""
        counters = {name: value for name, value in self.state_dict().items() if name.endswith("num_batches_tracked")}
        self.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()} | counters)
        return self


def db_loss(maps: tuple[torch.Tensor, ...], labels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """5 · balanced cross entropy of P, dice of B, 10 · masked L1 of T: the hardest negatives by `torch.topk`."""
    probability_map, threshold_map, binary_map = maps
    target, mask, threshold, threshold_mask = (labels[name] for name in LABELS)
    positive, negative = target * mask, (1 - target) * mask
    positives = int(positive.sum())
    negatives = min(int(negative.sum()), 3 * positives)
    entropy = functional.binary_cross_entropy(probability_map, target, reduction="none")
    hardest = torch.topk((entropy * negative).flatten(), negatives).values
    balanced = ((entropy * positive).sum() + hardest.sum()) / (positives + negatives + EPSILON)
    overlap = (binary_map * target * mask).sum()
    dice = 1 - 2 * overlap / ((binary_map * mask).sum() + (target * mask).sum() + EPSILON)
    distance = ((threshold_map - threshold).abs() * threshold_mask).sum() / threshold_mask.sum()
    return 5 * balanced + dice + 10 * distance
