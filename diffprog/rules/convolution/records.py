"""The rule book's entries for convolutions: one for every formulation, with the cases it is proven on.

All are the one function `conv_general_dilated`, or `conv_transpose`; the shapes choose the formulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
from jax import Array, lax

from diffprog.rules.convolution.general import conv_general_dilated
from diffprog.rules.convolution.plain import channels_last
from diffprog.rules.convolution.transpose import conv_transpose
from diffprog.rules.core.record import Case, Rule

Sizes = tuple[int, ...]


def _convolve(operation: Any, x: Array, W: Array, **settings: Any) -> Array:
    return operation(x, W, dimension_numbers=channels_last(x.ndim - 2), **settings)


def _case(name: str, x: Sizes, W: Sizes, strides: Sizes, padding: Any, **settings: Any) -> Case:
    """A convolution, or a transposed one where `settings` say nothing else, of random arrays of these shapes."""
    settings |= {"padding": padding, "window_strides": strides}

    def make(key: Array, dtype: Any) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        return jax.random.normal(first, x, dtype), jax.random.normal(second, W, dtype) / 3

    return Case(name, make, settings)


def _transposed(name: str, x: Sizes, W: Sizes, strides: Sizes, padding: Any, **settings: Any) -> Case:
    case = _case(name, x, W, strides, padding, **settings)
    renamed = {("strides" if k == "window_strides" else k): v for k, v in case.settings.items()}
    return Case(name, case.make, renamed)


def _rule(
    name: str, forward: str, backward: str, cases: Sequence[Case], source: str = "", plain: Any = None
) -> Rule:
    ours = conv_general_dilated if plain is None else conv_transpose
    return Rule(
        name=name,
        function=partial(_convolve, ours),
        reference=partial(_convolve, plain or lax.conv_general_dilated),
        forward=forward,
        backward=backward,
        saved="W for g_in, x_in for g_W: each only if asked for",
        source=source or "jax.lax.conv_general_dilated",
        cases=tuple(cases),
        differentiable=(0, 1),
        exact=False,
    )


RULES = (
    _rule(
        "convolution, 1 x 1",
        r"x_{out} = x_{in} W",
        r"g_{in} = g_{out} W^\top,\quad g_W = x_{in}^\top g_{out}",
        (
            _case("2-D", (2, 3, 4, 3), (1, 1, 3, 5), (1, 1), "VALID"),
            _case("stride 2", (2, 5, 4, 3), (1, 1, 3, 2), (2, 2), "SAME"),
            _case("1-D", (2, 4, 3), (1, 3, 2), (1,), "SAME"),
        ),
    ),
    _rule(
        "convolution, depthwise",
        r"x_{out}[o,c] = \sum_j x_{in}[o s + j - l, c]\, W[j,c]",
        r"g_{in}[i,c] = \sum_{o s + j - l = i} g_{out}[o,c]\, W[j,c],\quad"
        r" g_W[j,c] = \sum_o x_{in}[o s + j - l, c]\, g_{out}[o,c]",
        (
            _case("3x3", (2, 5, 6, 3), (3, 3, 1, 3), (1, 1), "SAME", feature_group_count=3),
            _case("3x3, stride 2", (1, 7, 6, 3), (3, 3, 1, 3), (2, 2), "SAME", feature_group_count=3),
            _case(
                "5x3, stride 3 and 1", (1, 7, 6, 2), (5, 3, 1, 2), (3, 1), "SAME_LOWER", feature_group_count=2
            ),
            _case("1x1", (2, 3, 3, 3), (1, 1, 1, 3), (1, 1), "VALID", feature_group_count=3),
            _case(
                "dilation, multiplier 2",
                (1, 8, 7, 2),
                (3, 2, 1, 4),
                (2, 1),
                ((2, 1), (-1, 2)),
                rhs_dilation=(2, 3),
                feature_group_count=2,
            ),
            _case("1-D", (2, 9, 3), (4, 1, 3), (2,), ((3, 0),), feature_group_count=3),
            _case("3-D", (1, 4, 3, 3, 2), (2, 3, 2, 1, 2), (2, 1, 1), "SAME", feature_group_count=2),
        ),
        source="Howard et al. 2017, MobileNets; jax.lax.conv_general_dilated",
    ),
    _rule(
        "convolution, grouped",
        r"x_{out}[o,d] = \sum_{j,\,c \sim d} x_{in}[o s + j - l, c]\, W[j,c,d]",
        r"g_{in}[i,c] = \sum_{o s + j - l = i,\,d \sim c} g_{out}[o,d]\, W[j,c,d],\quad"
        r" g_W[j,c,d] = \sum_o x_{in}[o s + j - l, c]\, g_{out}[o,d]",
        (
            _case("3 groups of 2", (2, 5, 4, 6), (3, 3, 2, 6), (1, 1), "SAME", feature_group_count=3),
            _case(
                "16 groups of 2",
                (1, 3, 4, 32),
                (3, 2, 2, 48),
                (1, 1),
                ((1, 0), (2, 0)),
                feature_group_count=16,
            ),
            _case("2 groups of 32", (1, 3, 2, 64), (2, 2, 32, 4), (1, 1), "SAME", feature_group_count=2),
            _case("2 groups, 3 to 1", (1, 6, 5, 6), (3, 2, 3, 2), (2, 2), "SAME", feature_group_count=2),
            _case(
                "dilation",
                (1, 7, 6, 4),
                (3, 2, 2, 6),
                (1, 1),
                "VALID",
                rhs_dilation=(2, 3),
                feature_group_count=2,
            ),
            _case("1-D", (2, 9, 4), (3, 2, 4), (2,), ((1, 2),), feature_group_count=2),
        ),
        source="Xie et al. 2017, ResNeXt; jax.lax.conv_general_dilated",
    ),
    _rule(
        "convolution, dense",
        r"x_{out}[o,d] = \sum_{j,c} x_{in}[o s + j - l, c]\, W[j,c,d]",
        r"g_{in}[i,c] = \sum_{o s + j - l = i,\,d} g_{out}[o,d]\, W[j,c,d],\quad"
        r" g_W[j,c,d] = \sum_o x_{in}[o s + j - l, c]\, g_{out}[o,d]",
        (
            _case("3x3", (2, 5, 4, 2), (3, 3, 2, 3), (1, 1), "SAME"),
            _case("3x3 that widens", (1, 5, 6, 2), (3, 3, 2, 5), (1, 1), "VALID"),
            _case("3x3, stride 2", (2, 7, 6, 2), (3, 3, 2, 3), (2, 2), "SAME"),
            _case("5x5", (1, 6, 6, 2), (5, 5, 2, 2), (1, 1), "SAME"),
            _case("negative padding", (1, 7, 6, 2), (2, 3, 2, 2), (2, 1), ((-1, 2), (3, -2))),
            _case("dilation", (1, 8, 7, 2), (3, 2, 2, 3), (1, 2), "SAME_LOWER", rhs_dilation=(2, 3)),
            _case("3x3, one channel", (2, 5, 4, 1), (3, 3, 1, 2), (1, 1), "SAME"),
            _case("1-D", (2, 7, 2), (3, 2, 3), (1,), "SAME"),
            _case("3-D", (1, 4, 3, 4, 2), (2, 2, 3, 2, 2), (1, 2, 1), "SAME"),
        ),
    ),
    _rule(
        "convolution, both dilated",
        r"x_{out}[o,d] = \sum_{j,c} x_{in}[(o s + j r - l) / t, c]\, W[j,c,d]",
        r"g_{in}[i,c] = \sum_{o s + j r - l = i t,\,d} g_{out}[o,d]\, W[j,c,d],\quad"
        r" g_W[j,c,d] = \sum_o x_{in}[(o s + j r - l) / t, c]\, g_{out}[o,d]",
        (
            _case(
                "one group",
                (2, 5, 4, 2),
                (3, 2, 2, 3),
                (2, 1),
                ((2, 1), (0, 3)),
                lhs_dilation=(3, 2),
                rhs_dilation=(2, 1),
            ),
            _case(
                "transposed depthwise",
                (1, 3, 4, 2),
                (3, 2, 1, 2),
                (1, 1),
                ((1, 2), (1, 0)),
                lhs_dilation=(2, 3),
                feature_group_count=2,
            ),
            _case(
                "two groups",
                (1, 4, 5, 4),
                (2, 3, 2, 4),
                (1, 3),
                ((1, -1), (2, 2)),
                lhs_dilation=(2, 2),
                rhs_dilation=(1, 2),
                feature_group_count=2,
            ),
        ),
    ),
    _rule(
        "transposed convolution",
        r"x_{out}[o,d] = \sum_{i t + l - j = o,\,c} x_{in}[i,c]\, W[j,c,d]",
        r"g_{in}[i,c] = \sum_{j,d} g_{out}[i t + l - j, d]\, W[j,c,d],\quad"
        r" g_W[j,c,d] = \sum_i x_{in}[i,c]\, g_{out}[i t + l - j, d]",
        (
            _transposed("4x4, stride 2", (2, 3, 4, 3), (4, 4, 3, 2), (2, 2), "SAME"),
            _transposed("3x2, stride 2 and 3", (1, 4, 3, 2), (3, 2, 2, 3), (2, 3), "VALID"),
            _transposed("pads", (1, 4, 3, 2), (3, 3, 2, 2), (2, 2), ((1, 2), (0, -1))),
            _transposed(
                "kernel of the convolution", (1, 3, 3, 2), (4, 3, 3, 2), (2, 1), "SAME", transpose_kernel=True
            ),
            _transposed("dilation", (1, 3, 3, 2), (3, 2, 2, 2), (2, 2), "SAME", rhs_dilation=(2, 1)),
            _transposed("stride 1", (1, 4, 3, 2), (3, 3, 2, 2), (1, 1), "SAME"),
            _transposed("1-D", (2, 4, 2), (5, 2, 3), (3,), "SAME"),
            _transposed("3-D", (1, 2, 3, 2, 2), (2, 3, 2, 2, 1), (2, 2, 1), "SAME"),
        ),
        source="Radford et al. 2015, DCGAN; jax.lax.conv_transpose",
        plain=lax.conv_transpose,
    ),
)
