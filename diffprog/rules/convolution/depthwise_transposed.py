"""Transposed convolution of every channel by itself.

It is the input gradient of the depthwise convolution seen from its output (see `transposed`), so each of its formulas
is one of `depthwise` with the roles of picture and gradient exchanged and the taps in the other order.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from diffprog.rules.convolution.depthwise import DEPTHWISE
from diffprog.rules.convolution.plain import Formulation
from diffprog.rules.convolution.shape import Shape
from diffprog.rules.convolution.transposed import mirror


def applies(shape: Shape, kernel: tuple[int, ...]) -> bool:
    """A spread picture, stride 1, an undilated kernel, one input and one output channel in each group."""
    alone = kernel[-2] == 1 and kernel[-1] == shape.groups > 1
    return alone and set(shape.strides) == set(shape.dilation) == {1} and set(shape.spread) != {1}


def _forward(x: Array, W: Array, shape: Shape) -> Array:
    return DEPTHWISE.input_gradient(x, _flipped(W), _mirror(shape))


def _input_gradient(g: Array, W: Array, shape: Shape) -> Array:
    return DEPTHWISE.forward(g, _flipped(W), _mirror(shape))


def _weight_gradient(x: Array, g: Array, shape: Shape) -> Array:
    return _flipped(DEPTHWISE.weight_gradient(g, x, _mirror(shape)))


def _flipped(W: Array) -> Array:
    return jnp.flip(W, tuple(range(W.ndim - 2)))


def _mirror(shape: Shape) -> Shape:
    return Shape(mirror(shape), (1,) * len(shape.axes), shape.dilation, shape.groups)


DEPTHWISE_TRANSPOSED = Formulation(_forward, _input_gradient, _weight_gradient)
