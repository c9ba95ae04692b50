"""The whole network: a backbone and the decoder of its features (paper figure 3)."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dbnet_jax.models.backbones.mobilenet_v3 import MobileNetV3
from dbnet_jax.models.backbones.resnet import RESNETS, ResNet
from dbnet_jax.models.decoder import Decoder, Features, Outputs
from dbnet_jax.models.layers.conv import Conv, ModuleDef
from dbnet_jax.models.layers.deformable import DeformableConv

MOBILENETS = {"mobilenet_v3_large": "large", "mobilenet_v3_small": "small"}
Images = Float[Array, "batch height width 3"] | Float[np.ndarray, "batch height width 3"]


class DBNet(Decoder):
    """Scene text detection with differentiable binarisation (arXiv 1911.08947; with `scale_fusion` 2202.10304).

    **Arguments:** those of `Decoder`, and

    - `backbone`: a name in `resnet.RESNETS` or `MOBILENETS`.
    - `width`: channels of a ResNet's first stage; 64 is the paper's, less makes a narrow model. A MobileNet has
        width / 64 of its channels.
    - `max_width`: the most channels that a stage of a ResNet has (before a bottleneck's expansion); None is no limit.
    - `dcn`: a ResNet's stages conv3, conv4 and conv5 have deformable convolutions, where the official code has them.
    - `dcn_offsets`: "strided" or "official", see `DeformableConv`.
    - `mobilenet`: "official" or "torchvision", whose blocks differ a little, see `MobileNetV3`.
    """

    backbone: str = "resnet18"
    width: int = 64
    max_width: int | None = None
    dcn: bool = False
    dcn_offsets: str = "strided"
    mobilenet: str = "official"

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
        return self.decode(self._features(jnp.asarray(images, self.dtype), norm), norm)

    def _features(self, images: Float[Array, "batch height width 3"], norm: ModuleDef) -> Features:
        if self.backbone in MOBILENETS:
            size, layout = MOBILENETS[self.backbone], self.mobilenet
            return MobileNetV3(size, norm, self.width, layout, self.dtype, name="backbone")(images)
        block, stage_sizes = RESNETS[self.backbone]
        conv = partial(DeformableConv, offsets=self.dcn_offsets) if self.dcn else Conv
        makers = (Conv, conv, conv, conv)
        widths = (self.width, self.max_width)
        return ResNet(block, stage_sizes, norm, *widths, makers, self.dtype, name="backbone")(images)
