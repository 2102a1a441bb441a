"""Local Jacobians with all their entries, to look at; a backward sweep never makes them.

A node's Jacobian dx_out/dx_in is found row by row, through the node's own backward rule. Its entries are as many as
those of x_out times those of x_in, so this is for small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from diffprog.errors import InvalidInput
from diffprog.graph.node import Node

MOST_ENTRIES = 2**26  # half a gigabyte in float64


def local_jacobian(node: Node, operands: Sequence[Any], of: int, by: int) -> jax.Array:
    """dx_out/dx_in of one node, in JAX's layout.

    Args:
        node: the operation.
        operands: its operands.
        of: which result to differentiate.
        by: which operand to differentiate by.

    Returns:
        An array of the result's shape, then the operand's.

    Raises:
        InvalidInput: an operand or a result that is not made of real numbers, or too many entries.

    Example:
        >>> from diffprog.graph import trace
        >>> x = jnp.array([0.0, 1.0])
        >>> local_jacobian(trace(jnp.square, x).nodes[0], [x], 0, 0)
        Array([[0., 0.],
               [0., 2.]], dtype=float32)
    """

    def local(x: jax.Array) -> Any:
        return node.apply(*operands[:by], x, *operands[by + 1 :])[of]

    out = jax.eval_shape(local, operands[by])
    if not all(jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in (operands[by], out)):
        raise InvalidInput(
            f"the derivative of {out.dtype} by {jnp.result_type(operands[by])} at {node.name}",
            "floating-point numbers on both sides: others have no derivative",
            "another operand, or a cast before it",
        )
    check_size(out.shape, jnp.shape(operands[by]), node.name)
    return jax.jacrev(local)(operands[by])


def check_size(of: tuple[int, ...], by: tuple[int, ...], name: str) -> None:
    """Refuse a Jacobian that would fill the memory.

    Raises:
        InvalidInput: more than `MOST_ENTRIES`.
    """
    if math.prod(of) * math.prod(by) > MOST_ENTRIES:
        raise InvalidInput(
            f"the Jacobian of {list(of)} by {list(by)} at {name}",
            f"at most {MOST_ENTRIES:,} entries",
            "smaller arguments, or the step's g_in, which is the product of the cotangent with this Jacobian",
        )
