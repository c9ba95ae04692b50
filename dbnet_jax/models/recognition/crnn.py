"""CRNN: convolutions, bidirectional LSTMs and a decoder (Shi et al., arXiv 1507.05717)."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dbnet_jax.models.layers.batch_norm import BatchNorm
from dbnet_jax.models.layers.conv import Conv, Dtype
from dbnet_jax.models.layers.initialization import lecun_normal
from dbnet_jax.models.recognition.attention import AttentionDecoder
from dbnet_jax.models.recognition.encoders import ENCODERS, STRIDE, column_lengths
from dbnet_jax.models.recognition.lstm import Direction, both_ways

DECODERS = ("ctc", "attention")


class Crnn(nn.Module):
    """A network that reads words.

    **Arguments:**

    - `classes`: characters and one more, class 0: the blank of CTC, or the start and the end of an attention decoder.
    - `backbone`: a name in `ENCODERS`: "vgg" (the paper's), "slim" (for CPUs) or "resnet".
    - `decoder`: "ctc" or "attention".
    - `hidden`: units of an LSTM in each direction; the paper has 256.
    - `max_length`: characters that an attention decoder gives at most.
    - `dtype`: of the computation; parameters, statistics and logits are float32.
    """

    classes: int = 95
    backbone: str = "slim"
    decoder: str = "ctc"
    hidden: int = 256
    max_length: int = 25
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "batch 32 width 1"],
        widths: Int[Array, "batch"] | None = None,
        texts: Int[Array, "batch length"] | None = None,
        train: bool = False,
    ) -> Float[Array, "batch steps classes"]:
        """The logits of each class, float32: by feature column for CTC, by character for attention.

        **Arguments:**

        - `images`: grey in [−1, 1]. The width is a multiple of 4.
        - `widths`: of each picture in pixels; right of it is padding, the last column repeated, whose columns count for
            nothing. None: no padding.
        - `texts`: classes, for teacher forcing of an attention decoder; None: it decodes greedily.
        - `train`: normalises by the batch, and updates the running statistics.
        """
        if images.shape[1] != 32 or images.shape[2] % STRIDE:
            raise ValueError(f"`images` (of shape {images.shape}) must be 32 high, and their width a multiple of 4")
        norm = partial(BatchNorm, use_running_average=not train, dtype=self.dtype)
        encoder = ENCODERS[self.backbone](conv=partial(Conv, dtype=self.dtype), norm=norm, dtype=self.dtype)
        columns = encoder(images.astype(self.dtype))
        lengths = jnp.full(len(images), columns.shape[1]) if widths is None else column_lengths(widths, columns)
        columns = self._sequence(columns, lengths)
        if self.decoder == "ctc":
            return nn.Dense(self.classes, kernel_init=lecun_normal, name="output")(columns.astype(jnp.float32))
        decoder = AttentionDecoder(self.classes, self.hidden, self.max_length, name="decoder")
        return decoder(columns.astype(jnp.float32), lengths, texts)

    def _sequence(
        self, columns: Float[Array, "batch columns features"], lengths: Int[Array, "batch"]
    ) -> Float[Array, "batch columns twice_hidden"]:
        columns = self._both_ways("lstm0", columns, lengths)
        columns = nn.Dense(self.hidden, kernel_init=lecun_normal, dtype=self.dtype, name="embedding0")(columns)
        return self._both_ways("lstm1", columns, lengths)

    def _both_ways(
        self, name: str, columns: Float[Array, "batch columns features"], lengths: Int[Array, "batch"]
    ) -> Float[Array, "batch columns twice_hidden"]:
        forward, backward = (
            Direction(columns.shape[-1], self.hidden, self.dtype, name=f"{name}_{direction}")()
            for direction in ("forward", "backward")
        )
        return both_ways(columns, lengths, forward, backward)
