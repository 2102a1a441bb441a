"""Normalization with a learned scale and bias per channel.

Parameters have Flax's names. `batch_norm()` uses the statistics of the batch it is given, always. With a momentum it
keeps running averages of them beside its parameters, and has two modes: `training` normalizes by the batch and moves
the averages, `apply` normalizes by the averages, so that one picture can be evaluated at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block, Params, Shape, one_array
from diffprog.blocks.layers import positive
from diffprog.errors import InvalidInput

AVERAGES = "averages"  # beside the parameters: numbers that a forward pass moves and no gradient


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


def batch_norm(epsilon: float = 1e-5, momentum: float | None = None) -> Block:
    """Every channel over this batch and all positions: x [N, *space, C], scale [C], bias [C].

    With a momentum m, training moves the averages, which have no gradient, and evaluation uses them:

        mean <- m mean + (1 - m) mean of the batch,   var likewise

    Args:
      epsilon: added to the variance.
      momentum: how much of the averages a step keeps; None keeps none, and evaluates by the batch, too.

    Raises:
      InvalidInput: a momentum that is not in [0, 1).

    Example:
      >>> import jax
      >>> norm = batch_norm(momentum=0.9)
      >>> params = norm.init(jax.random.key(0), (2, 1))
      >>> y, params = norm.training(params, jnp.array([[1.0], [3.0]]))
      >>> y.ravel().round(3).tolist(), round(float(params["averages"]["mean"][0]), 3)
      ([-1.0, 1.0], 0.2)
    """
    plain = _norm("batch_norm", lambda x, scale, bias: rules.batch_norm(x, scale, bias, epsilon))
    if momentum is None:
        return plain
    if not 0 <= momentum < 1:
        raise InvalidInput(f"momentum={momentum}", "at least 0 and below 1", "momentum=0.9")

    def init(key: Array, shape: Shape) -> Params:
        params = plain.init(key, shape)
        zeros = jnp.zeros_like(params["bias"])
        return {**params, AVERAGES: {"mean": zeros, "var": zeros + 1}}

    def apply(params: Params, x: Array) -> Array:
        known = rules.stop_gradient(params[AVERAGES])
        return rules.batch_norm_frozen(
            x, params["scale"], params["bias"], known["mean"], known["var"], epsilon
        )

    def learn(params: Params, x: Array) -> tuple[Array, Params]:
        known = rules.stop_gradient(params[AVERAGES])
        found = dict(zip(("mean", "var"), rules.batch_statistics(x), strict=True))
        moved = {
            name: momentum * old + (1 - momentum) * found[name].astype(old.dtype)
            for name, old in known.items()
        }
        return plain.apply(params, x), {**params, AVERAGES: moved}

    return Block(init, apply, "batch_norm", learn=learn)


def with_averages(params: Params, moved: Params) -> Params:
    """The parameters with the running averages of `moved`, as `Block.training` returns them.

    This is the `settle` of `train`: the method moves the parameters, the forward pass the averages.
    """

    def chosen(path: tuple[Any, ...], own: Array, other: Array) -> Array:
        return other if any(getattr(entry, "key", None) == AVERAGES for entry in path) else own

    return jax.tree_util.tree_map_with_path(chosen, params, moved)


def _norm(kind: str, normalize: Callable[..., Array], bias: bool = True) -> Block:
    def init(key: Array, shape: Shape) -> Params:
        x = one_array(kind, shape)
        channels = x.shape[-1:]
        scale = {"scale": jnp.ones(channels, x.dtype)}
        return {**scale, "bias": jnp.zeros(channels, x.dtype)} if bias else scale

    return Block(init, lambda params, x: normalize(x, params["scale"], params.get("bias")), kind)
