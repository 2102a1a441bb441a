"""How values part, meet and change shape: the rules of a graph's wiring.

    branch:       x_out_k = x_in                   g_in = sum_k g_out_k        fan-out sums gradients
    merge:        x_out = sum_k x_in_k             g_in_k = g_out              fan-in copies them
    concatenate:  x_out = [x_in_1, x_in_2, ..]     g_in_k = its part of g_out
    reshape:      the same numbers in another order of axes: so is the gradient
    broadcast:    x_out repeats x_in               g_in = sum of g_out over what was repeated

Sharing a parameter is branching it: every use gets a copy, and the gradients of all uses add up. JAX does all of this
by itself; here it is said aloud, as functions of their own. All are linear: nothing is saved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.anatomy import Backward, operation
from diffprog.rules.linear_map import LinearIn, linear_map
from diffprog.rules.record import Case, Rule

# ---- branch: x_out_k = x_in,  g_in = sum_k g_out_k ----------------------------------------------------------


def branch(x: Any, ways: int = 2) -> tuple[Any, ...]:
    """The same value for several consumers; their gradients add up.

    Args:
      x: pytree of arrays; those that are not floating-point are copied without a gradient.
      ways: how many copies.

    Returns:
      A tuple of `ways` pytrees.

    Raises:
      InvalidInput: fewer than one way.

    Example:
      >>> import jax
      >>> def f(x):
      ...     left, right = branch(x)
      ...     return 2.0 * left + 3.0 * right
      >>> jax.grad(f)(1.0)
      Array(5., dtype=float32, weak_type=True)
    """
    if ways < 1:
        raise InvalidInput(f"{ways} ways", "at least one consumer", "branch(x, 2)")
    leaves, tree = jax.tree.flatten(x)
    copies = [_copied(leaf, ways) for leaf in leaves]
    return tuple(jax.tree.unflatten(tree, [leaf[way] for leaf in copies]) for way in range(ways))


def _copied(leaf: Any, ways: int) -> tuple[Any, ...]:
    if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        return (leaf,) * ways
    return tuple(linear_map(_copies(ways), _total, (), leaf))


@cache
def _copies(ways: int) -> LinearIn:
    return lambda _, x: (x,) * ways


def _total(_: Any, xs: Sequence[Array]) -> Array:
    return reduce(add, xs)


def shared(function: Callable[..., Any], parameters: Any, *inputs: Any) -> tuple[Any, ...]:
    """One layer used at several places: `function(parameters, x)` for every x.

        dJ/dW = sum over the uses of g_W at that use

    Args:
      function: `(parameters, x) -> x_out`.
      parameters: pytree, shared by all uses.
      *inputs: what every use is given.

    Returns:
      The output of every use.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> scale = lambda W, x: W * x
      >>> jax.grad(lambda W: sum(shared(scale, W, 2.0, 5.0)))(1.0)
      Array(7., dtype=float32, weak_type=True)
    """
    uses = branch(parameters, len(inputs))
    return tuple(function(use, x) for use, x in zip(uses, inputs, strict=True))


# ---- merge: x_out = sum_k x_in_k,  g_in_k = g_out -----------------------------------------------------------


def merge(*branches: Array) -> Array:
    """The sum of branches that meet; the gradient goes to each of them unchanged.

    Args:
      *branches: arrays of one shape and dtype. Nothing is broadcast: `broadcast` first, where that is meant.

    Returns:
      Their sum, added from left to right.

    Raises:
      InvalidInput: no branch, or branches that differ in shape or dtype.

    Example:
      >>> import jax
      >>> jax.grad(lambda a, b: merge(a, b) ** 2, (0, 1))(1.0, 2.0)
      (Array(6., dtype=float32), Array(6., dtype=float32))
    """
    kinds = sorted({f"{jnp.shape(x)} {jnp.result_type(x)}" for x in branches})
    if len(kinds) != 1:
        raise InvalidInput(
            f"branches of {' and '.join(kinds) or 'nothing'}",
            "at least one branch, all of one shape and dtype, so that every gradient fits its branch",
            "broadcast(x, shape), or .astype, before merging",
        )
    _floating(*branches)
    return linear_map(_total, _copies(len(branches)), (), branches)


# ---- concatenate: x_out = [x_in_1, x_in_2, ..],  g_in_k = its part of g_out ---------------------------------


def concatenate(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Arrays one after the other along an axis; the gradient is cut where they were joined.

    Args:
      arrays: of one dtype, and one shape but for `axis`.
      axis: along which; negative ones count from the end.

    Returns:
      One array.

    Raises:
      InvalidInput: no array, or arrays that do not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> concatenate([jnp.zeros(2), jnp.ones(1)])
      Array([0., 0., 1.], dtype=float32)
    """
    shapes = [jnp.shape(x) for x in arrays]
    rank = len(shapes[0]) if shapes else 0
    others = {shape[:axis] + shape[axis:][1:] for shape in shapes}
    dtypes = {jnp.result_type(x) for x in arrays}
    if not -rank <= axis < rank or any(len(s) != rank for s in shapes) or len(others) > 1 or len(dtypes) > 1:
        raise InvalidInput(
            f"arrays of {', '.join(f'{jnp.shape(x)} {jnp.result_type(x)}' for x in arrays) or 'nothing'}, axis {axis}",
            "at least one array, all of one dtype and of one shape along every other axis",
            "an axis along which they may differ",
        )
    _floating(*arrays)
    axis %= rank
    ends = tuple(np.cumsum([shape[axis] for shape in shapes])[:-1].tolist())
    return linear_map(_joined(axis), _parted(axis, ends), (), tuple(arrays))


@cache
def _joined(axis: int) -> LinearIn:
    return lambda _, xs: lax.concatenate(xs, axis)


@cache
def _parted(axis: int, ends: tuple[int, ...]) -> LinearIn:
    return lambda _, g_out: tuple(jnp.split(g_out, ends, axis))


# ---- reshape: x_out = x_in,  g_in = g_out, in its own shape -------------------------------------------------

_reshape = operation(
    "reshape",
    lambda x, before, shape: x.reshape(shape),
    Backward(
        save=lambda *_, **static: (),
        pull=lambda _, g_out, before, shape: g_out.reshape(before),
        push=lambda _, x_dot, before, shape: x_dot.reshape(shape),
    ),
)


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The same numbers, row-major, in another shape; so is the gradient.

    Args:
      x: any shape, any floating dtype.
      shape: of the result; one entry may be -1.

    Returns:
      x in that shape.

    Raises:
      InvalidInput: a shape of another size.

    Example:
      >>> import jax.numpy as jnp
      >>> reshape(jnp.zeros((2, 3)), (3, -1)).shape
      (3, 2)
    """
    before, shape = jnp.shape(x), tuple(int(size) for size in shape)
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 0:
        shape = tuple(math.prod(before) // known if size == -1 else size for size in shape)
    if min(shape, default=0) < 0 or math.prod(shape) != math.prod(before):
        raise InvalidInput(
            f"the shape {shape} for {math.prod(before)} numbers of shape {before}",
            "as many numbers as there are, with at most one -1",
            f"a shape whose product is {math.prod(before)}",
        )
    _floating(x)
    return _reshape(jnp.asarray(x), before=before, shape=shape)


# ---- broadcast: x_out repeats x_in,  g_in = sum of g_out over what was repeated -----------------------------


def _unbroadcast(_: Any, g_out: Array, before: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    added = len(shape) - len(before)
    repeated = [axis + added for axis, size in enumerate(before) if size == 1 and shape[axis + added] != 1]
    return g_out.sum((*range(added), *repeated)).reshape(before)


_broadcast = operation(
    "broadcast",
    lambda x, before, shape: jnp.broadcast_to(x, shape),
    Backward(
        save=lambda *_, **static: (),
        pull=_unbroadcast,
        push=lambda _, x_dot, before, shape: jnp.broadcast_to(x_dot, shape),
    ),
)


def broadcast(x: Array, shape: Sequence[int]) -> Array:
    """x repeated to a shape, by NumPy's rules; the gradient is summed over what was repeated.

    Args:
      x: any shape, any floating dtype. Half precision is summed in float32, as `jnp.sum` does.
      shape: of the result.

    Returns:
      x in that shape.

    Raises:
      InvalidInput: a shape that x cannot be repeated to.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> jax.grad(lambda b: broadcast(b, (4, 2)).sum())(jnp.zeros(2))
      Array([4., 4.], dtype=float32)
    """
    before, shape = jnp.shape(x), tuple(int(size) for size in shape)
    pairs = zip(reversed(before), reversed(shape), strict=False)
    if len(shape) < len(before) or any(size not in (1, wanted) for size, wanted in pairs):
        raise InvalidInput(
            f"the shape {shape} for an array of shape {before}",
            "every axis, counted from the last, as it is or repeated from size 1",
            "reshape(x, ...) with axes of size 1 where it is to be repeated",
        )
    _floating(x)
    return _broadcast(jnp.asarray(x), before=before, shape=shape)


def _floating(*arrays: Any) -> None:
    for x in arrays:
        if not jnp.issubdtype(jnp.result_type(x), jnp.floating):
            raise InvalidInput(
                f"an array of dtype {jnp.result_type(x)}",
                "floating-point arrays, since gradients flow through them",
                "x.astype(jnp.float32)",
            )


# ---- record -------------------------------------------------------------------------------------------------


def _normal(*shapes: tuple[int, ...]) -> Any:
    def make(key: Array, dtype: Any) -> tuple[Array, ...]:
        keys = jax.random.split(key, len(shapes))
        return tuple(jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True))

    return make


def _branched(x: Array) -> Array:
    left, right = branch(x)
    return left * jnp.sin(right)


def _siamese(W: Array, x: Array, y: Array) -> Array:
    left, right = shared(lambda W, x: jnp.tanh(x @ W), W, x, y)  # (B, n) (n, m) -> (B, m)
    return left - right


RULES = (
    Rule(
        name="branch",
        function=_branched,
        reference=lambda x: x * jnp.sin(x),
        forward=r"x_{out,k} = x_{in}",
        backward=r"g_{in} = \sum_k g_{out,k}",
        saved="nothing: the map is linear",
        source="lecture, slide on sharing",
        cases=(Case("two ways", _normal((3, 4))),),
    ),
    Rule(
        name="shared parameters",
        function=_siamese,
        reference=lambda W, x, y: jnp.tanh(x @ W) - jnp.tanh(y @ W),
        forward=r"x_{out,k} = f(W, x_{in,k})",
        backward=r"g_W = \sum_k g_{W,k}",
        saved="nothing of its own",
        source="lecture, slide on sharing",
        differentiable=(0, 1, 2),
        cases=(Case("two uses of a layer", _normal((3, 2), (4, 3), (4, 3))),),
    ),
    Rule(
        name="merge",
        function=merge,
        reference=lambda *xs: reduce(add, xs),
        forward=r"x_{out} = \sum_k x_{in,k}",
        backward=r"g_{in,k} = g_{out}",
        saved="nothing: the map is linear",
        source="lecture, slide on sharing",
        differentiable=(0, 1, 2),
        cases=(Case("three branches", _normal((2, 3), (2, 3), (2, 3))),),
    ),
    Rule(
        name="concatenate",
        function=lambda *xs, axis: concatenate(xs, axis),
        reference=lambda *xs, axis: jnp.concatenate(xs, axis),
        forward=r"x_{out} = [x_{in,1}, x_{in,2}, \dots]",
        backward=r"g_{in,k} = g_{out}[\text{part } k]",
        saved="nothing: the map is linear",
        source="jax.numpy.concatenate",
        differentiable=(0, 1, 2),
        cases=(Case("channels", _normal((2, 3), (2, 1), (2, 2)), {"axis": -1}),),
    ),
    Rule(
        name="reshape",
        function=reshape,
        reference=lambda x, shape: jnp.reshape(x, shape),
        forward=r"x_{out} = x_{in}",
        backward=r"g_{in} = g_{out}",
        saved="nothing: the map is linear",
        source="jax.numpy.reshape",
        cases=(Case("flatten", _normal((2, 3, 2)), {"shape": (2, -1)}),),
    ),
    Rule(
        name="broadcast",
        function=broadcast,
        reference=lambda x, shape: jnp.broadcast_to(x, shape),
        forward=r"x_{out}[i, j] = x_{in}[j]",
        backward=r"g_{in}[j] = \sum_i g_{out}[i, j]",
        saved="nothing: the map is linear",
        source="jax.numpy.broadcast_to",
        cases=(
            Case("a bias", _normal((3,)), {"shape": (2, 4, 3)}),
            Case("an axis of one", _normal((2, 1, 3)), {"shape": (4, 2, 5, 3)}),
        ),
    ),
)
