"""Backward rules for rectifiers that are not the derivative: guided, deconvnet, redirected.

They make pictures of what a network looks at, and the first two show edges more than reasons: their pictures hardly
depend on the network's weights (Adebayo et al. 2018, "Sanity checks for saliency maps"). All three are for ReLU and
ReLU6, however written (see `recognize`). Forward mode has the derivative without the change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from diffprog.graph.overriding.backward import Forward, Override, with_tangent
from diffprog.graph.overriding.recognize import Operation
from diffprog.rules.core.cotangent import with_cotangent

_CEILINGS = {"relu": None, "relu6": 6.0}
_Tangent = Callable[[Any, Any, "float | None"], Any]


def _for_relus(name: str, tangent: _Tangent) -> Override:
    def replace(operation: Operation) -> Forward | None:
        single = len(operation.operands) == len(operation.results) == 1
        if operation.kind not in _CEILINGS or not single:
            return None
        ceiling = _CEILINGS[operation.kind]
        return with_tangent(operation, lambda x_in, x_dot: tangent(x_in, x_dot, ceiling))

    return Override(name, tuple(_CEILINGS), replace)


# ---- guided: g_in = g_out where x_in is in range and g_out > 0, else 0 ---------------------------------------


def _guided(x_in: Any, x_dot: Any, ceiling: float | None) -> Any:
    inside = x_in > 0 if ceiling is None else (x_in > 0) & (x_in < ceiling)
    return with_cotangent(_positive, jnp.where(inside, x_dot, jnp.zeros_like(x_dot)))


def _positive(g_out: Any) -> Any:
    return jnp.maximum(g_out, 0)


guided = _for_relus("guided", _guided)
"""Guided backpropagation: a gradient passes a ReLU only where the ReLU is on and the gradient is positive.

Source: Springenberg et al. 2014, "Striving for simplicity: the all convolutional net".
"""


# ---- deconvnet: g_in = max(g_out, 0), whatever x_in is -------------------------------------------------------


def _deconvnet(x_in: Any, x_dot: Any, ceiling: float | None) -> Any:
    return with_cotangent(_positive, x_dot)


deconvnet = _for_relus("deconvnet", _deconvnet)
"""Deconvolutional network: the backward of a ReLU is a ReLU of the gradient, and does not look at x_in.

Source: Zeiler and Fergus 2013, "Visualizing and understanding convolutional networks".
"""


# ---- redirected: g_in = where(x_in is in range, g_out, 0), unless that is 0 in a whole example, and then
#      g_in = where(x_in < 0 and g_out > 0  or  x_in > 6 and g_out < 0, 0, g_out) ------------------------------
# At exactly 0 and 6 the gradient passes, as in Lucid; jax.nn.relu passes none at 0.


def _redirected(x_in: Any, x_dot: Any, ceiling: float | None) -> Any:
    # Two masks say all that the backward needs of x_in; forward mode is that of the range alone.
    below = x_in < 0
    above = jnp.zeros_like(below) if ceiling is None else x_in > ceiling
    return with_cotangent(_redirect, x_dot, below, above)


def _redirect(g_out: jax.Array, below: jax.Array, above: jax.Array) -> jax.Array:
    plain = jnp.where(below | above, jnp.zeros_like(g_out), g_out)
    outward = (below & (g_out > 0)) | (above & (g_out < 0))
    redirected = jnp.where(outward, jnp.zeros_like(g_out), g_out)
    axes = tuple(range(1, plain.ndim)) if plain.ndim > 1 else None
    return jnp.where(jnp.any(plain != 0, axis=axes, keepdims=True), plain, redirected)


redirected = _for_relus("redirected", _redirected)
"""Lucid's redirected gradient: an example to which a ReLU would pass no gradient at all gets one that wakes it.

Examples lie along the first axis; an array of rank 0 or 1 is one example. The cost is minimized, so a positive
gradient pushes an input down: what pushes inputs back into range passes.

Source: Lucid, `misc/redirected_relu_grad.py` (Olah et al., 2017).
"""
