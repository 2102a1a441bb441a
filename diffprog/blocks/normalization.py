"""Normalization with a learned scale and bias per channel.

Parameters have Flax's names. `batch_norm` uses the statistics of the batch it is given, always: a block keeps no
running averages. To evaluate one picture at a time choose `group_norm` or `layer_norm`, which see one at a time
anyway, or `rules.batch_norm_frozen` with averages of your own.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block, Params, Shape, one_array
from diffprog.blocks.layers import positive


def layer_norm(epsilon: float = 1e-6) -> Block:
    """Every position over its channels: x [..., C], scale [C], bias [C].

    Example:
      >>> layer_norm().output((5, 3)).shape
      (5, 3)
    """
    return _norm("layer_norm", lambda x, scale, bias: rules.layer_norm(x, scale, bias, epsilon))


def rms_norm(epsilon: float = 1e-6) -> Block:
    """Every position by the root of the mean square of its channels: x [..., C], scale [C]."""
    return _norm("rms_norm", lambda x, scale, _: rules.rms_norm(x, scale, epsilon), bias=False)


def group_norm(groups: int, epsilon: float = 1e-6) -> Block:
    """Groups of channels of every picture over all positions: x [N, *space, C], scale [C], bias [C].

    Raises:
      InvalidInput: no groups, or groups that do not divide the channels.
    """
    positive("group_norm", groups=groups)
    return _norm("group_norm", lambda x, scale, bias: rules.group_norm(x, groups, scale, bias, epsilon))


def batch_norm(epsilon: float = 1e-5) -> Block:
    """Every channel over this batch and all positions: x [N, *space, C], scale [C], bias [C]."""
    return _norm("batch_norm", lambda x, scale, bias: rules.batch_norm(x, scale, bias, epsilon))


def _norm(kind: str, normalize: Callable[..., Array], bias: bool = True) -> Block:
    def init(key: Array, shape: Shape) -> Params:
        x = one_array(kind, shape)
        channels = x.shape[-1:]
        scale = {"scale": jnp.ones(channels, x.dtype)}
        return {**scale, "bias": jnp.zeros(channels, x.dtype)} if bias else scale

    return Block(init, lambda params, x: normalize(x, params["scale"], params.get("bias")), kind)
