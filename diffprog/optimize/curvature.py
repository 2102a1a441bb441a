"""Second derivatives of a cost: products with its Hessian, the whole Hessian, and the Hessian's spectrum.

Products are the graph room's, forward mode over reverse mode; where an operation inside has no forward mode they are
reverse over reverse. Both go through hand-written backward rules: at second order JAX differentiates the formula of
the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.graph.diagnosis import second
from diffprog.graph.diagnosis.curvature import Spectrum, hessian_product, lanczos
from diffprog.graph.diagnosis.diagnose import diagnose
from diffprog.optimize.method import PyTree


def hvp(cost: Callable[..., Any], at: PyTree, v: PyTree, *args: Any) -> PyTree:
    """The product H v of the Hessian of a cost with a vector, for about the price of two gradients.

    Args:
      cost: `cost(value, *args)` to a scalar.
      at: where.
      v: a pytree like `at`.
      args: the cost's further arguments.

    Raises:
      InvalidInput: the cost cannot be differentiated twice.

    Example:
      >>> hvp(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0]))
      Array([6., 2.], dtype=float32)
    """
    try:
        return hessian_product(cost, at, *args)(v)
    except (TypeError, ValueError) as error:  # no forward mode of a rule, or of a callback
        raise InvalidInput(
            f"a cost without second derivatives: {(str(error).splitlines() or [''])[0][:200]}",
            "a cost whose backward rules can be differentiated again",
            "a first-order method; a rule whose backward calls no other `custom_vjp`",
        ) from error


def hessian(cost: Callable[..., Any], at: PyTree, *args: Any) -> Array:
    """The whole Hessian, [n, n], over the entries of `at` in the order of `jax.flatten_util.ravel_pytree`.

    Args:
      cost: `cost(value, *args)` to a scalar.
      at: where; n entries in all.
      args: the cost's further arguments.

    Raises:
      InvalidInput: the cost cannot be differentiated twice.

    Example:
      >>> hessian(lambda w: w["a"] ** 2 * w["b"], {"a": jnp.array(1.0), "b": jnp.array(3.0)})
      Array([[6., 2.],
             [2., 0.]], dtype=float32)
    """
    flat, whole = ravel_pytree(at)
    rows = jax.vmap(lambda v: hvp(lambda w, *args: cost(whole(w), *args), flat, v, *args))
    H = rows(jnp.eye(flat.size, dtype=flat.dtype))
    return (H + H.T) / 2  # symmetric to the last digit, as eigenvalue solvers expect


def spectrum(cost: Callable[..., Any], at: PyTree, *args: Any, steps: int = 24) -> Spectrum:
    """The extreme eigenvalues of the Hessian by the method of Lanczos, from products alone.

    Args:
      cost: `cost(value, *args)` to a scalar.
      at: where.
      args: the cost's further arguments.
      steps: products to take; with as many as there are variables all is exact.

    Returns:
      Smallest and largest eigenvalue, and from them the condition number, the best rates of gradient descent and
      momentum, and the longest step.

    Example:
      >>> found = spectrum(lambda w: jnp.sum(jnp.array([0.5, 2.0, 4.5]) * w**2), jnp.ones(3))
      >>> round(found.largest, 4), round(found.condition_number, 3)
      (9.0, 9.0)
    """
    flat, whole = ravel_pytree(at)
    product = hessian_product(lambda w, *args: cost(whole(w), *args), flat, *args)
    return lanczos(lambda v: product(jnp.asarray(v, flat.dtype)), flat.size, np.dtype(flat.dtype), steps)


def check_curved(cost: Callable[..., Any], value: PyTree, rest: tuple[Any, ...]) -> None:
    """Refuse a cost without second derivatives, or with a slope and no curvature at all.

    Raises:
      InvalidInput: with the node it ends at, as `diagnose` finds it, and the remedy.
    """

    def loss(value: PyTree, *rest: Any) -> Array:
        out = cost(value, *rest)
        return out[0] if isinstance(out, tuple) else out

    leaves = jax.tree.leaves(value)
    keys = jax.random.split(jax.random.key(0), len(leaves))
    pairs = zip(keys, leaves, strict=True)
    drawn = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in pairs]
    v = jax.tree.unflatten(jax.tree.structure(value), drawn)
    both = jax.jit(lambda value, *rest: (jax.grad(loss)(value, *rest), hvp(loss, value, v, *rest)))
    try:
        slope, bend = both(value, *rest)
    except InvalidInput as error:
        raise _located(error, loss, value, rest) from error
    if any(map(np.any, jax.tree.leaves(slope))) and not any(map(np.any, jax.tree.leaves(bend))):
        refused = InvalidInput(
            "a cost whose second derivative is zero at the start",
            "a curved cost: second-order methods divide by the curvature",
            "a first-order method, or a smooth activation in place of ReLU",
        )
        raise _located(refused, loss, value, rest)


def _located(
    error: InvalidInput, loss: Callable[..., Any], value: PyTree, rest: tuple[Any, ...]
) -> InvalidInput:
    """The error with the node that it comes from, where a diagnosis finds one."""
    for finding in diagnose(loss, value, *rest).findings:
        if finding.kind in second.KINDS:
            place = f"{finding.node}, {finding.source}" if finding.source else finding.node
            return InvalidInput(
                f"{error.got}; at {place}: {finding.sentence}", error.expected, finding.remedy
            )
    return error
