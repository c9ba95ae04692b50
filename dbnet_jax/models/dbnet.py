"""The whole network: a backbone and the decoder of its features (paper figure 3)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict
from jaxtyping import Array, Float

from dbnet_jax.models.backbones import BACKBONES
from dbnet_jax.models.decoder import Decoder, Outputs

Images = Float[Array, "batch height width 3"] | Float[np.ndarray, "batch height width 3"]


class DBNet(Decoder):
    """Scene text detection with differentiable binarisation (arXiv 1911.08947; with `scale_fusion` 2202.10304).

    **Arguments:** those of `Decoder`, and

    - `backbone`: a name in `BACKBONES`.
    - `width`: channels of a ResNet's first stage; 64 is the paper's, less makes a narrow model. A MobileNet has
        width / 64 of its channels.
    - `backbone_options`: keyword arguments of the backbone's factory, such as `dcn`.
    """

    backbone: str = "resnet18"
    width: int = 64
    backbone_options: Mapping[str, Any] = dataclasses.field(default_factory=FrozenDict)

    @nn.compact
    def __call__(self, images: Images, train: bool = False) -> Outputs:  # type: ignore[override]
        """Computes the maps of normalised images.

        **Arguments:**

        - `images`: normalised (`dbnet_jax.images.normalization`); height and width are multiples of 32.
        - `train`: normalise by the batch's statistics, and update the running statistics.

        **Returns:** `probability_map`, `threshold_map`, `binary_map` in [0, 1], and `probability_logits` and
        `binary_logits` for the loss. A model with `adaptive=False` returns only the probability map and its logits.
        `jax.jit` computes only the maps that the caller uses. So inference never compiles the threshold head.

        **Raises:** ValueError if the height or width is no multiple of 32.
        """
        if images.shape[1] % 32 or images.shape[2] % 32:
            raise ValueError(f"`images` (={images.shape}) must have a height and width that are multiples of 32")
        norm = self.norm(train)
        make = BACKBONES[self.backbone]
        backbone = make(norm=norm, width=self.width, dtype=self.dtype, **self.backbone_options)
        return self.decode(backbone(jnp.asarray(images, self.dtype)), norm)
