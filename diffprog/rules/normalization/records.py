"""The rule book's records of the normalizations, with the plain JAX programs that they are proven against."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.rules.core.record import Case, Rule
from diffprog.rules.normalization.frozen import batch_norm_frozen
from diffprog.rules.normalization.norms import batch_norm, group_norm, layer_norm, rms_norm


def _plain(x: Array, axes: Any, epsilon: float, centred: bool = True) -> Array:
    mean = x.mean(axes, keepdims=True) if centred else 0
    variance = jnp.mean((x - mean) ** 2, axes, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + epsilon)


def _plain_batch(x: Array, scale: Array, bias: Array, epsilon: float = 1e-5) -> Array:
    return _plain(x, tuple(range(x.ndim - 1)), epsilon) * scale + bias


def _plain_layer(x: Array, scale: Array, bias: Array, epsilon: float = 1e-5) -> Array:
    return _plain(x, -1, epsilon) * scale + bias


def _plain_rms(x: Array, scale: Array, epsilon: float = 1e-6) -> Array:
    return _plain(x, -1, epsilon, centred=False) * scale


def _plain_group(x: Array, scale: Array, bias: Array, groups: int, epsilon: float = 1e-5) -> Array:
    split = x.reshape(*x.shape[:-1], groups, -1)
    axes = (*range(1, x.ndim - 1), x.ndim)
    return _plain(split, axes, epsilon).reshape(x.shape) * scale + bias


def _group(x: Array, scale: Array, bias: Array, groups: int, epsilon: float = 1e-5) -> Array:
    return group_norm(x, groups, scale, bias, epsilon)


def _plain_frozen(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, epsilon: float = 1e-5
) -> Array:
    return (x - mean) * (jax.lax.rsqrt(variance + epsilon) * scale) + bias


def _arrays(*shape: int, vectors: int = 2) -> Any:
    """A picture or sequence that is not centred, and one vector of channels for every parameter."""

    def make(key: Array, dtype: Any) -> tuple[Array, ...]:
        keys = jax.random.split(key, vectors + 1)
        x = 0.7 + 1.5 * jax.random.normal(keys[0], shape, dtype)
        return (x, *(1 + 0.3 * jax.random.normal(k, shape[-1:], dtype) for k in keys[1:]))

    return make


def _frozen_arrays(key: Array, dtype: Any) -> tuple[Array, ...]:
    x, scale, bias, mean, variance = _arrays(2, 3, 2, 5, vectors=4)(key, dtype)
    return x, scale, bias, mean, jnp.abs(variance) + 0.1


NORMAL_BACKWARD = (
    r"g_{in} = r\,(h - \overline{h} - \hat{x}\,\overline{h \hat{x}}),\ h = \gamma g_{out};\quad "
    r"g_\gamma = \sum g_{out} \hat{x},\quad g_\beta = \sum g_{out}"
)
SAVED = "the input, mean and r = 1 / sqrt(variance + epsilon); statistics and sums in at least float32"

RULES = (
    Rule(
        name="batch norm, training",
        function=batch_norm,
        reference=_plain_batch,
        forward=r"x_{out} = \gamma \hat{x} + \beta,\quad \hat{x} = (x_{in} - m)\,r\text{ over batch and space}",
        backward=r"g_{in} = \gamma r\,(g_{out} - g_\beta / n - \hat{x}\, g_\gamma / n);\quad "
        r"g_\gamma = \sum g_{out} \hat{x},\quad g_\beta = \sum g_{out}",
        saved=SAVED,
        source="Ioffe and Szegedy 2015",
        differentiable=(0, 1, 2),
        cases=(
            Case("pictures", _arrays(3, 4, 2, 5)),
            Case("vectors", _arrays(6, 3)),
            Case("large epsilon", _arrays(2, 3, 4), {"epsilon": 0.1}),
        ),
        exact=False,
    ),
    Rule(
        name="batch norm, frozen",
        function=batch_norm_frozen,
        reference=_plain_frozen,
        forward=r"x_{out} = (x_{in} - m)\,\gamma r + \beta",
        backward=r"g_{in} = \gamma r\,g_{out};\ g_\gamma = r \sum g_{out} (x_{in} - m),\ g_\beta = \sum g_{out},\ "
        r"g_m = -\gamma r \sum g_{out},\ g_v = -\tfrac12 \gamma r^3 \sum g_{out} (x_{in} - m)",
        saved="gamma r for g_in; the centred input only for the gradients of scale and variance",
        source="Ioffe and Szegedy 2015",
        differentiable=(0, 1, 2, 3, 4),
        cases=(Case("pictures", _frozen_arrays),),
        exact=False,
    ),
    Rule(
        name="layer norm",
        function=layer_norm,
        reference=_plain_layer,
        forward=r"x_{out} = \gamma \hat{x} + \beta,\quad \hat{x} = (x_{in} - m)\,r\text{ over channels}",
        backward=NORMAL_BACKWARD,
        saved=SAVED,
        source="Ba, Kiros and Hinton 2016",
        differentiable=(0, 1, 2),
        cases=(Case("sequence", _arrays(2, 5, 6)), Case("one vector", _arrays(7))),
        exact=False,
    ),
    Rule(
        name="group norm",
        function=_group,
        reference=_plain_group,
        forward=r"x_{out} = \gamma \hat{x} + \beta,\quad \hat{x} = (x_{in} - m)\,r\text{ over space and a group}",
        backward=NORMAL_BACKWARD,
        saved=SAVED,
        source="Wu and He 2018; with one channel a group, instance normalization (Ulyanov et al. 2016)",
        differentiable=(0, 1, 2),
        cases=(
            Case("groups of 3", _arrays(2, 3, 4, 6), {"groups": 2}),
            Case("one group", _arrays(2, 3, 4), {"groups": 1}),
            Case("instance norm", _arrays(2, 5, 3), {"groups": 3}),
        ),
        exact=False,
    ),
    Rule(
        name="RMS norm",
        function=rms_norm,
        reference=_plain_rms,
        forward=r"x_{out} = \gamma \hat{x},\quad \hat{x} = x_{in} / \sqrt{\overline{x_{in}^2} + \epsilon}",
        backward=r"g_{in} = r\,(h - \hat{x}\,\overline{h \hat{x}}),\ h = \gamma g_{out};\quad "
        r"g_\gamma = \sum g_{out} \hat{x}",
        saved="the input and r; the mean square and sums in at least float32",
        source="Zhang and Sennrich 2019",
        differentiable=(0, 1),
        cases=(Case("sequence", _arrays(2, 5, 6, vectors=1)),),
        exact=False,
    ),
)
