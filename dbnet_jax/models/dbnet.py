"""The whole detector: backbone, neck, two heads and the differentiable binarisation (paper figure 3)."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dbnet_jax.binarization import differentiable_binarization
from dbnet_jax.models.fpn import FPN
from dbnet_jax.models.head import Head
from dbnet_jax.models.resnet import RESNETS, ResNet

Images = Float[Array, "batch height width 3"] | Float[np.ndarray, "batch height width 3"]


class DBNet(nn.Module):
    """Scene text detection with differentiable binarisation (arXiv 1911.08947).

    **Arguments:**

    - `backbone`: a name in `resnet.RESNETS`.
    - `width`: channels of the backbone's first stage; 64 is the paper's, less makes a narrow model.
    - `inner_channels`: channels of the pyramid; 256 in the paper; a multiple of 4.
    - `k`: the steepness of the binarisation.
    - `dtype`: the type of the computation. Parameters and batch statistics are float32 whatever it is, and the maps
        come out float32.
    """

    backbone: str = "resnet18"
    width: int = 64
    inner_channels: int = 256
    k: float = 50.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Images, train: bool = False) -> dict[str, Float[Array, "batch height width"]]:
        """Computes the maps of normalised images.

        **Arguments:**

        - `images`: normalised (`dbnet_jax.normalization`); height and width are multiples of 32.
        - `train`: normalise by the batch's statistics and update the running ones.

        **Returns:** `probability_map`, `threshold_map`, `binary_map` in [0, 1], and `probability_logits` and
        `binary_logits`, which the loss prefers. What a caller does not use, `jax.jit` does not compute: inference
        takes the probability map alone and the threshold head is never compiled.

        **Raises:** ValueError when the height or width is no multiple of 32.
        """
        if images.shape[1] % 32 or images.shape[2] % 32:
            raise ValueError(f"`images` (={images.shape}) must have a height and width that are multiples of 32")
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=self.dtype)
        block, stage_sizes = RESNETS[self.backbone]
        features = ResNet(block, stage_sizes, norm=norm, width=self.width, dtype=self.dtype, name="backbone")(
            jnp.asarray(images, self.dtype)
        )
        fused = FPN(self.inner_channels, dtype=self.dtype, name="neck")(features)
        head = partial(Head, self.inner_channels // 4, norm=norm, dtype=self.dtype)
        probability_logits = head(name="probability_head")(fused)
        probability_map = jax.nn.sigmoid(probability_logits)
        threshold_map = jax.nn.sigmoid(head(name="threshold_head")(fused))
        return {
            "probability_map": probability_map,
            "threshold_map": threshold_map,
            "binary_map": differentiable_binarization(probability_map, threshold_map, self.k),
            "probability_logits": probability_logits,
            "binary_logits": self.k * (probability_map - threshold_map),
        }
