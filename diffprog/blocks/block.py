"""A block: a node with parameters, as two pure functions.

    init(key, shape) -> params        apply(params, x) -> y

A block holds no numbers. Its parameters are a pytree that you own: differentiate it, move it, save it. What a block
is made of (`parts`) is known from outside, so that a table can be printed; what it computes is known to nobody but
`apply`, so that any function can be a block. `apply` has one result and changes nothing; what a forward pass in
training moves, the running averages of batch normalization, comes back from `training` as parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput

Params = Any
Shape = (
    Any  # a tuple of whole numbers, or anything with a shape and a dtype, or tuples, lists and dicts of these
)


class Part(NamedTuple):
    """One block inside another.

    Attributes:
      name: its name in there; "" for the one block that another is wrapped around.
      block: the part.
      select: picks the part's parameters from those of the whole.
      after: whether it is fed by the part before it, and not by what the whole is fed.
    """

    name: str
    block: Block
    select: Callable[[Params], Params]
    after: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """A node with parameters.

    Two blocks are equal only if they are the same object, so a block can be a static argument of `jax.jit`.

    Attributes:
      init: `(key, shape) -> params`. The shape is that of x, batch included: a tuple, which stands for floats, or an
        example, or a `jax.ShapeDtypeStruct`; a tuple of shapes where x is a tuple of arrays.
      apply: `(params, x) -> y`, as in evaluation.
      kind: what it is, for tables.
      name: what it is called inside another block; its kind when left out.
      parts: the blocks it is made of.
      shared: names of the parameters it shares with other blocks.
      learn: `(params, x) -> (y, params)`, as `training` says; None where training computes what `apply` does.

    Example:
      >>> import jax
      >>> scale = Block(lambda key, shape: jax.numpy.full(shape[-1], 2.0), lambda params, x: params * x, "scale")
      >>> scale.apply(scale.init(jax.random.key(0), (3, 2)), jax.numpy.ones((3, 2)))[0]
      Array([2., 2.], dtype=float32)
    """

    init: Callable[[Array, Shape], Params] = dataclasses.field(repr=False)
    apply: Callable[[Params, Any], Any] = dataclasses.field(repr=False)
    kind: str = "block"
    name: str = ""
    parts: tuple[Part, ...] = dataclasses.field(default=(), repr=False)
    shared: frozenset[str] = dataclasses.field(default=frozenset(), repr=False)
    learn: Callable[[Params, Any], tuple[Any, Params]] | None = dataclasses.field(default=None, repr=False)

    def training(self, params: Params, x: Any) -> tuple[Any, Params]:
        """(y as in training, the parameters with their running averages moved by this x)."""
        return self.learn(params, x) if self.learn else (self.apply(params, x), params)

    def named(self, name: str) -> Block:
        """The same block under a name of your own, which its parameters and its layer in a graph will have."""
        return dataclasses.replace(self, name=name)

    def output(self, shape: Shape) -> Any:
        """Shape and dtype of y for an x of this shape, without computing anything."""
        x = specification(shape)
        params = jax.eval_shape(lambda key: self.init(key, x), jax.random.key(0))
        return jax.eval_shape(self.apply, params, x)


def specification(shape: Shape) -> Any:
    """Shapes with dtypes: a bare tuple stands for floats of JAX's default width.

    Raises:
      InvalidInput: something that is no shape, such as a size that is missing or negative.

    Example:
      >>> specification((2, 3))
      ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """
    if hasattr(shape, "shape") and hasattr(shape, "dtype"):
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype)
    if isinstance(shape, dict):
        return {name: specification(one) for name, one in shape.items()}
    if isinstance(shape, tuple | list) and all(_is_size(size) for size in shape):
        return jax.ShapeDtypeStruct(tuple(shape), jnp.result_type(float))
    if isinstance(shape, tuple | list) and not any(_is_size(size) or size is None for size in shape):
        return tuple(specification(one) for one in shape)
    raise InvalidInput(
        f"the shape {shape!r}",
        "whole numbers of at least 0, batch included; or an array of that shape; or a tuple of these",
        "the shape of one batch, such as (1, 28, 28, 3)",
    )


def _is_size(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


@contextmanager
def located(name: str) -> Iterator[None]:
    """Say in which part it was that something did not fit."""
    try:
        yield
    except InvalidInput as error:
        where, _, what = error.got.rpartition(": ") if error.got.startswith("in ") else ("in ", "", error.got)
        path = f"in {name}" if where == "in " else f"in {name}/{where.removeprefix('in ')}"
        raise InvalidInput(f"{path}: {what}", error.expected, error.remedy) from error


def one_array(where: str, shape: Shape, least: int = 1) -> jax.ShapeDtypeStruct:
    """The specification of a single array of at least so many axes.

    Raises:
      InvalidInput: several arrays, or too few axes.
    """
    x = specification(shape)
    if not isinstance(x, jax.ShapeDtypeStruct) or len(x.shape) < least:
        got = f"x of shape {x.shape}" if isinstance(x, jax.ShapeDtypeStruct) else f"{len(x)} arrays"
        raise InvalidInput(
            f"{where} got {got}",
            f"one array of at least {least} axes, channels last",
            "a merge (add, concatenate, multiply) after a branch, or a reshape before",
        )
    return x


def without_parameters(function: Callable[[Any], Any], kind: str) -> Block:
    """A block that has nothing to learn."""
    return Block(lambda key, shape: {}, lambda params, x: function(x), kind)
