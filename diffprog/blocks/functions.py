"""Blocks without parameters: activations, fixed code of your own, other shapes.

An activation is a rule of one number, applied to every element. `function` makes a block of any function, which is
how code that a human wrote and blocks that are learned become one program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block, without_parameters


def function(f: Callable[[Any], Any], kind: str = "") -> Block:
    """Fixed code as a block.

    Args:
      f: `x -> y`, anything JAX can run.
      kind: what tables and graphs call it; the function's own name when left out.

    Example:
      >>> import jax.numpy as jnp
      >>> function(jnp.sin).apply({}, jnp.zeros(2))
      Array([0., 0.], dtype=float32)
    """
    kind = kind or getattr(f, "__name__", "function").strip("<>_")
    return without_parameters(f, kind)


def leaky_relu(negative_slope: float = 0.01) -> Block:
    """max(x, slope x)."""
    return function(lambda x: rules.leaky_relu(x, negative_slope), "leaky_relu")


def softmax(axis: int = -1) -> Block:
    """exp(x) / sum exp(x) along an axis."""
    return function(lambda x: rules.softmax(x, axis), "softmax")


def log_softmax(axis: int = -1) -> Block:
    """x - log sum exp(x) along an axis."""
    return function(lambda x: rules.log_softmax(x, axis), "log_softmax")


def reshape(*shape: int) -> Block:
    """Another shape for everything but the batch, the first axis.

    Example:
      >>> reshape(2, -1).output((5, 6)).shape
      (5, 2, 3)
    """
    return function(lambda x: rules.reshape(x, (x.shape[0], *shape)), "reshape")


def _flat(x: Array) -> Array:
    return rules.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


flatten = function(_flat, "flatten")
identity = function(lambda x: x, "identity")

relu = function(rules.relu)
relu6 = function(rules.relu6)
hard_swish = function(rules.hard_swish)
absolute = function(rules.absolute)
sigmoid = function(rules.sigmoid)
tanh = function(rules.tanh)
softplus = function(rules.softplus)
silu = function(rules.silu)
gelu = function(rules.gelu)
square = function(rules.square)

ACTIVATIONS: Sequence[Block] = (
    relu, relu6, hard_swish, absolute, sigmoid, tanh, softplus, silu, gelu, square,
)  # fmt: skip
