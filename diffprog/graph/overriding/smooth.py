"""Redirected gradients for smooth activations: SiLU and GELU, which are never quite off.

Left of its lowest point x* (-1.28 for SiLU, -.75 for GELU) such an activation falls as x rises, so a gradient that
wants it larger pushes x further left, where it fades to nothing: the unit is off, and being driven away. That is the
ReLU's x < 0, and Lucid's rule is taken over with x* in place of 0:

    g_in = phi'(x_in) g_out,   unless all of an example's gradient arrives where x_in < x*, and then
    g_in = where(x_in < x* and g_out > 0, 0, g_out)

The cost is minimized, so a positive gradient pushes an input down; what pushes inputs up, to where the activation
rises, passes as if the slope were 1. Reverse mode only.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from diffprog.graph.overriding.backward import Forward, Override, with_backward
from diffprog.graph.overriding.recognize import Operation

LOWEST = {"silu": -1.2784645, "gelu": -0.7517916, "gelu_tanh": -0.7524614, "quick_gelu": -0.7511542}
"""Where each activation is least: the root of its slope."""


def _replace(operation: Operation) -> Forward | None:
    single = len(operation.operands) == len(operation.results) == 1
    if operation.kind not in LOWEST or not single:
        return None

    def backward(inputs: tuple[Any], x_out: Any, g_out: Any) -> Any:
        (x_in,) = inputs
        (plain,) = jax.vjp(lambda x: operation.forward(x)[0], x_in)[1](g_out)
        below = x_in < LOWEST[operation.kind]
        outward = below & (g_out > 0)
        redirected = jnp.where(outward, jnp.zeros_like(g_out), g_out)
        axes = tuple(range(1, plain.ndim)) if plain.ndim > 1 else None
        alive = jnp.any(~below & (g_out != 0), axis=axes, keepdims=True)
        return jnp.where(alive, plain, redirected)

    return with_backward(operation, backward)


redirected_gates = Override("redirected_gates", tuple(LOWEST), _replace)
"""A SiLU or GELU whose whole gradient in an example arrives left of its lowest point passes one that wakes it.

Examples lie along the first axis; an array of rank 0 or 1 is one example. No published project redirects smooth
activations; the rule is Lucid's for ReLUs (`redirected`) with the lowest point in place of 0.
"""
