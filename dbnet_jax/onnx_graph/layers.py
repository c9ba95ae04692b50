"""The layers of the networks in the operations of ONNX, in the place of the forms that XLA runs fastest."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dbnet_jax.models.decoder import every_fourth
from dbnet_jax.models.head import Head
from dbnet_jax.models.layers.batch_norm import BatchNorm
from dbnet_jax.models.layers.conv import Conv, max_pool, upsample
from dbnet_jax.models.layers.deformable import DeformableConv
from dbnet_jax.models.layers.depthwise import DepthwiseConv
from dbnet_jax.models.layers.upsampled import LevelsConv
from dbnet_jax.models.necks.fpn import FPN
from dbnet_jax.models.recognition.encoders import STRIDE, Flat, column_lengths, pool, pool_rows, pool_rows_wide
from dbnet_jax.models.recognition.lstm import Weights, both_ways
from dbnet_jax.onnx_graph import operations as ops
from dbnet_jax.ops.replaceable import replaced

Parameters = Mapping[str, Any]


@contextlib.contextmanager
def as_onnx() -> Iterator[None]:
    """Inside of it, a network that is traced consists of `operations` and of arithmetic."""
    with nn.intercept_methods(_intercept), replaced(_FUNCTIONS):
        yield


def _intercept(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
    layer = _LAYERS.get(type(context.module)) if context.method_name == "__call__" else None
    return call(*args, **kwargs) if layer is None else layer(context.module, *args, **kwargs)


def convolved(x: Any, kernel: Any, strides: int = 1, *, padded: bool = True, groups: int = 1) -> Any:
    """A convolution, with zeros around the image or (not `padded`) without."""
    return ops.conv.bind(x, kernel, strides=strides, padded=padded, groups=groups)


def _biased(y: Any, parameters: Parameters) -> Any:
    return y + parameters["bias"][None, None, None] if "bias" in parameters else y


def _conv(module: Conv, x: Any) -> Any:
    parameters = module.variables["params"]
    return _biased(convolved(x, parameters["kernel"], module.strides), parameters)


def _depthwise(module: DepthwiseConv, x: Any) -> Any:
    return convolved(x, module.variables["params"]["kernel"], module.strides, groups=x.shape[-1])


def _flat(module: Flat, x: Any) -> Any:
    parameters = module.variables["params"]
    return ops.columns.bind(_biased(convolved(x, parameters["kernel"], padded=False), parameters))


def _batch_norm(module: BatchNorm, x: Any) -> Any:
    return _normalized(module.variables, x, module.epsilon)


def _normalized(variables: Mapping[str, Parameters], x: Any, epsilon: float = 1e-5) -> Any:
    """y = gain · x + shift, which other programs join to the convolution before it."""
    parameters, statistics = variables["params"], variables["batch_stats"]
    gain = parameters["scale"] / np.sqrt(statistics["var"] + epsilon)
    shift = parameters["bias"] - statistics["mean"] * gain
    like_x = (1,) * (x.ndim - 1) + gain.shape
    return x * gain.reshape(like_x) + shift.reshape(like_x)


def _levels_conv(module: LevelsConv, levels: Sequence[Any]) -> Any:
    return _convolved_levels(module.variables["params"], levels)


def _convolved_levels(parameters: Parameters, levels: Sequence[Any]) -> Any:
    same_size = [upsample(level, 2 ** (len(levels) - 1 - n)) for n, level in enumerate(levels)]
    x = jnp.concatenate(same_size, -1) if len(levels) > 1 else same_size[0]
    return _biased(convolved(x, parameters["kernel"]), parameters)


def _fpn(module: FPN, features: Sequence[Any]) -> Any:
    parameters, levels = module.variables["params"], []
    above: Any = None
    for number, feature in zip((5, 4, 3, 2), features[::-1], strict=True):
        lateral = convolved(feature, parameters[f"in{number}"]["kernel"])
        above = lateral if above is None else lateral + upsample(above, 2)
        levels.append(convolved(above, parameters[f"out{number}"]["kernel"]))
    return levels


def _head(module: Head, levels: Sequence[Any]) -> Any:
    def of(name: str) -> dict[str, Parameters]:
        return {kind: tree[name] for kind, tree in module.variables.items() if name in tree}

    def doubled(x: Any, name: str) -> Any:
        parameters = of(name)["params"]
        return ops.doubling_conv.bind(x, parameters["kernel"], parameters["bias"])

    x = _convolved_levels(of("conv")["params"], levels)
    x = doubled(nn.relu(_normalized(of("bn1"), x)), "up1")
    return ops.one_channel.bind(doubled(nn.relu(_normalized(of("bn2"), x)), "up2"))


def _deformable(module: DeformableConv, x: Any) -> Any:
    parameters, strides = module.variables["params"], module.strides
    official = module.offsets == "official" and strides > 1
    raw = _biased(convolved(x, parameters["offset"]["kernel"], 1 if official else strides), parameters["offset"])
    split = 2 * module.kernel_size**2
    offset, logits = raw[..., :split], raw[..., split:]
    if official:
        offset, logits = (ops.flat_head.bind(one, strides=strides, channels=one.shape[-1]) for one in (offset, logits))
    return ops.deform_conv.bind(x, parameters["kernel"], offset, jax.nn.sigmoid(logits), strides=strides)


def _dense(module: nn.Dense, x: Any) -> Any:
    parameters = module.variables["params"]
    return ops.dense.bind(x, parameters["kernel"], parameters["bias"])


def _both_ways(columns: Any, lengths: Any, *directions: Weights) -> Any:
    def gates(part: str) -> Any:
        """[directions, 4 · units, …] in the order of ONNX: input, output, forget and cell gate."""
        found = []
        for weights in directions:
            write, keep, new, show = jnp.split(getattr(weights, part), 4, -1)
            found.append(jnp.concatenate([write, show, keep, new], -1).T)
        return jnp.stack(found)

    bias = gates("bias")
    bias = jnp.concatenate([jnp.zeros_like(bias), bias], 1)  # ONNX has one for the inputs and one for the state
    return ops.lstm.bind(columns, lengths, gates("inputs"), gates("state"), bias)


def _pool(x: Any, *, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int] = (0, 0)) -> Any:
    return ops.max_pool.bind(x, size=size, strides=strides, pads=pads)


def _upsample(x: Any, factor: int) -> Any:
    return ops.upsample.bind(x, factor=factor) if factor > 1 else x


_LAYERS: dict[type[nn.Module], Callable[..., Any]] = {
    BatchNorm: _batch_norm,
    Conv: _conv,
    DeformableConv: _deformable,
    DepthwiseConv: _depthwise,
    FPN: _fpn,
    Flat: _flat,
    Head: _head,
    LevelsConv: _levels_conv,
    nn.Dense: _dense,
}
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    max_pool: functools.partial(_pool, size=(3, 3), strides=(2, 2), pads=(1, 1)),
    pool: functools.partial(_pool, size=(2, 2), strides=(2, 2)),
    pool_rows: functools.partial(_pool, size=(2, 1), strides=(2, 1)),
    pool_rows_wide: functools.partial(_pool, size=(2, 2), strides=(2, 1), pads=(0, 1)),
    upsample: _upsample,
    both_ways: _both_ways,
    every_fourth: ops.every_fourth.bind,
    column_lengths: functools.partial(ops.column_lengths.bind, stride=STRIDE),
}
