"""Layers with kernels and tables: linear, convolution, embedding.

Parameters have Flax's names, shapes and starting values (`kernel`, `bias`, `embedding`), so those of `nn.Dense`,
`nn.Conv` and `nn.Embed` fit as they are, and the other way round. What is computed is `rules`, forward and backward.
Shape letters: n inputs, m outputs, C channels in, D channels out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.nn import initializers

from diffprog import rules
from diffprog.blocks.block import Block, Params, Shape, one_array, specification
from diffprog.errors import InvalidInput
from diffprog.rules.convolution.plain import channels_last

Initializer = Callable[..., Array]  # (key, shape, dtype) -> array
LECUN = initializers.lecun_normal()
ROWS = initializers.variance_scaling(1.0, "fan_in", "normal", out_axis=0)


def linear(features: int, bias: bool = True, kernel_init: Initializer = LECUN) -> Block:
    """x W + b on row vectors.

    Args:
      features: m.
      bias: whether to add b.
      kernel_init: `(key, shape, dtype) -> W`; b starts at zero.

    Returns:
      A block: x [..., n], kernel [n, m], bias [m] -> [..., m].

    Raises:
      InvalidInput: no features.

    Example:
      >>> linear(2).output((5, 3)).shape
      (5, 2)
    """
    positive("linear", features=features)

    def init(key: Array, shape: Shape) -> Params:
        x = one_array("linear", shape)
        kernel = kernel_init(key, (x.shape[-1], features), x.dtype)
        return {"kernel": kernel, **({"bias": jnp.zeros(features, x.dtype)} if bias else {})}

    return Block(init, lambda params, x: rules.linear(x, params["kernel"], params.get("bias")), "linear")


def convolution(
    features: int,
    size: int | Sequence[int] = 3,
    stride: int | Sequence[int] = 1,
    padding: str | Sequence[tuple[int, int]] = "SAME",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
    kernel_init: Initializer = LECUN,
) -> Block:
    """Pictures, or sequences or volumes, with kernels that slide over them.

    Args:
      features: D.
      size, stride, dilation: of the kernel, one number for all axes of space or one for each.
      padding: 'SAME', 'VALID', 'SAME_LOWER' or (low, high) for every axis of space.
      groups: channels in so many groups, each seeing only its own; C of them is a depthwise convolution.
      bias: whether to add one number per channel.
      kernel_init: `(key, shape, dtype) -> kernel`; the bias starts at zero.

    Returns:
      A block: x [N, *space, C], kernel [*size, C / groups, D], bias [D] -> [N, *positions, D].

    Raises:
      InvalidInput: no features or groups; at `init`, a picture or groups that do not fit.

    Example:
      >>> convolution(8, stride=2).output((1, 32, 32, 3)).shape
      (1, 16, 16, 8)
    """
    positive("convolution", features=features, groups=groups)

    def init(key: Array, shape: Shape) -> Params:
        x = one_array("convolution", shape, least=3)
        if x.shape[-1] % groups or features % groups:
            raise InvalidInput(
                f"convolution got {x.shape[-1]} channels to {features} in {groups} groups",
                "groups that divide both",
                "groups=1",
            )
        taps = per_axis("convolution", "size", size, len(x.shape) - 2)
        kernel = kernel_init(key, (*taps, x.shape[-1] // groups, features), x.dtype)
        return {"kernel": kernel, **({"bias": jnp.zeros(features, x.dtype)} if bias else {})}

    def apply(params: Params, x: Array) -> Array:
        space = x.ndim - 2
        y = rules.conv_general_dilated(
            x,
            params["kernel"],
            per_axis("convolution", "stride", stride, space),
            padding,
            rhs_dilation=per_axis("convolution", "dilation", dilation, space),
            dimension_numbers=channels_last(space),
            feature_group_count=groups,
        )
        return rules.merge(y, rules.broadcast(params["bias"], y.shape)) if bias else y

    return Block(init, apply, "convolution")


def embedding(rows: int, features: int, table_init: Initializer = ROWS) -> Block:
    """Rows of a table, picked by whole numbers.

    Args:
      rows: how many; x counts from 0.
      features: length of a row.
      table_init: `(key, shape, dtype) -> table`.

    Returns:
      A block: x [...] of whole numbers, embedding [rows, features] -> [..., features]. Give `init` and `output` an
      example x, since a bare shape stands for floats.

    Raises:
      InvalidInput: no rows or features; an x that is not of whole numbers.

    Example:
      >>> import jax.numpy as jnp
      >>> embedding(10, 4).output(jnp.array([[3, 1, 4]])).shape
      (1, 3, 4)
    """
    positive("embedding", rows=rows, features=features)

    def init(key: Array, shape: Shape) -> Params:
        x = specification(shape)
        if not jnp.issubdtype(getattr(x, "dtype", float), jnp.integer):
            raise InvalidInput(
                f"embedding got {x}",
                "one array of whole numbers, each the number of a row",
                "init(key, tokens) with an example of what it will be given",
            )
        return {"embedding": table_init(key, (rows, features), jnp.result_type(float))}

    return Block(init, lambda params, x: rules.embedding(params["embedding"], x), "embedding")


def per_axis(where: str, name: str, value: int | Sequence[int], space: int) -> tuple[int, ...]:
    """One number for every axis of space.

    Raises:
      InvalidInput: another count than there are axes, or a number below 1.
    """
    numbers = (value,) * space if isinstance(value, int) else tuple(value)
    if len(numbers) != space or any(number < 1 for number in numbers):
        raise InvalidInput(
            f"{where} got {name} {value} for x with {space} axes of space",
            "one number of at least 1 for all of them, or one for each",
            f"{name}={(numbers or (1,))[0]}, and x as [batch, *space, channels]",
        )
    return numbers


def positive(where: str, **numbers: Any) -> None:
    """Refuse counts that are not whole numbers of at least 1."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise InvalidInput(f"{where} got {name}={number!r}", "a whole number, 1 or more", f"{name}=16")
