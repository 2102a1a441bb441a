"""Activations that weigh their input with a sigmoid or a normal distribution of it: silu, quick gelu, gelu.

    x_out = x_in s(x_in)        g_in = g_out (s(x_in) + x_in s'(x_in))

Saved: the input alone, from which the slope is cheaper to make again than a second array is to keep. Values are bit
for bit those of `jax.nn`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.floating import has_derivative
from diffprog.rules.core.record import Case, Rule
from diffprog.rules.pointwise.elementwise import draws, elementwise


def _input(x: Array, _: Array) -> Array:
    return x


# ---- silu and quick gelu: x_out = x_in s, s = sigmoid(a x_in),  phi' = s (1 + a x_in (1 - s)) --------------


def _gated_slope(x: Array, rate: float) -> Array:
    gate = jax.lax.logistic(rate * x)
    return gate * (1 + rate * x * (1 - gate))


_silu = elementwise("silu", lambda x: jax.nn.silu(x), save=_input, slope=lambda x: _gated_slope(x, 1))
_quick_gelu = elementwise(
    "quick_gelu",
    lambda x: x * jax.nn.sigmoid(1.702 * x),
    save=_input,
    slope=lambda x: _gated_slope(x, 1.702),
)


def silu(x: Array) -> Array:
    """x sigmoid(x), also called swish, any shape.

    Example:
      >>> import jax
      >>> float(jax.grad(silu)(0.0))
      0.5
    """
    if not has_derivative(x):
        return jax.nn.silu(x)
    return _silu(jnp.asarray(x))


def quick_gelu(x: Array) -> Array:
    """x sigmoid(1.702 x), any shape: the gelu of CLIP's released networks.

    Example:
      >>> import jax
      >>> float(jax.grad(quick_gelu)(0.0))
      0.5
    """
    if not has_derivative(x):
        return _plain_quick_gelu(x)
    return _quick_gelu(jnp.asarray(x))


# ---- gelu: x_out = x_in Phi(x_in),  phi' = Phi(x_in) + x_in Phi'(x_in), the normal distribution and its density ----
# The tanh form: Phi = (1 + t)/2, t = tanh(c (x + a x^3)),  Phi' = (1 - t^2)/2 c (1 + 3 a x^2).
# Phi is written as jax.nn.gelu writes it, so that XLA computes it once where value and slope are wanted together.
# Where x^2 is beyond FAR the density is 0 to every digit; without the limit 0 times an overflown square would be NaN.

FAR = 1000.0
TANH_SCALE, TANH_CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_slope(x: Array) -> Array:
    u = -x * math.sqrt(0.5)
    # XLA expands erfc(u) with e^(-u^2) inside: the density written so is had for nothing.
    density = jnp.exp(-(u * u)) * (1 / math.sqrt(2 * math.pi))
    return 0.5 * jax.lax.erfc(u) + x * density


def _gelu_tanh_slope(x: Array) -> Array:
    t = jnp.tanh(TANH_SCALE * (x + TANH_CUBIC * (x**3)))
    inner = x * (TANH_SCALE + 3 * TANH_SCALE * TANH_CUBIC * jnp.minimum(x * x, FAR))
    return 0.5 * (1 + t) * (1 + (1 - t) * inner)


_gelu = elementwise(
    "gelu", lambda x: jax.nn.gelu(x, approximate=False), save=_input, slope=lambda x: _gelu_slope(x)
)
_gelu_tanh = elementwise(
    "gelu_tanh", lambda x: jax.nn.gelu(x, approximate=True), save=_input, slope=lambda x: _gelu_tanh_slope(x)
)


def gelu(x: Array, approximate: bool = True) -> Array:
    """x Phi(x) with the normal distribution Phi, any shape.

    Args:
      x: any shape, floating.
      approximate: the tanh form (the default, as in `jax.nn.gelu`), or the exact one with the error function.

    Example:
      >>> import jax
      >>> float(jax.grad(gelu)(0.0)), float(jax.grad(gelu)(0.0, approximate=False))
      (0.5, 0.5)
    """
    if not has_derivative(x):
        return jax.nn.gelu(x, approximate)
    return (_gelu_tanh if approximate else _gelu)(jnp.asarray(x))


def _plain_quick_gelu(x: Array) -> Array:
    return x * jax.nn.sigmoid(1.702 * x)


ANYWHERE = (Case("any shape", draws()),)

RULES = (
    Rule(
        name="silu",
        function=silu,
        reference=jax.nn.silu,
        forward=r"x_{out} = x_{in}\,\sigma(x_{in})",
        backward=r"g_{in} = g_{out}\,\sigma(x_{in}) (1 + x_{in} (1 - \sigma(x_{in})))",
        saved="the input; the sigmoid is made again",
        source="Hendrycks and Gimpel 2016; values of jax.nn.silu",
        cases=ANYWHERE,
    ),
    Rule(
        name="quick gelu",
        function=quick_gelu,
        reference=_plain_quick_gelu,
        forward=r"x_{out} = x_{in}\,\sigma(1.702\,x_{in})",
        backward=r"g_{in} = g_{out}\,s\,(1 + 1.702\,x_{in} (1 - s)),\quad s = \sigma(1.702\,x_{in})",
        saved="the input; the sigmoid is made again",
        source="Hendrycks and Gimpel 2016; Radford et al. 2021 (CLIP)",
        cases=ANYWHERE,
    ),
    Rule(
        name="gelu",
        function=gelu,
        reference=jax.nn.gelu,
        forward=r"x_{out} = x_{in}\,\Phi(x_{in})",
        backward=r"g_{in} = g_{out}\,(\Phi(x_{in}) + x_{in}\,\Phi'(x_{in}))",
        saved="the input; Phi is made again",
        source="Hendrycks and Gimpel 2016; values of jax.nn.gelu",
        cases=(
            Case("tanh form", draws(), {"approximate": True}),
            Case("exact", draws(), {"approximate": False}),
        ),
    ),
)
