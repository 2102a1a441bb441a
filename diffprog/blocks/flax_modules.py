"""Flax modules as blocks, and blocks as Flax modules, linen and nnx.

What a module keeps besides parameters (running averages, say) stays as it was when the block was made or
initialized: a block has no state, so a module is used as it is in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from flax import nnx
from jax import Array

from diffprog.blocks.block import Block, Params, Shape, specification
from diffprog.errors import InvalidInput
from diffprog.rules import stop_gradient

COLLECTIONS = "collections"


def from_flax(module: nn.Module | nnx.Module | Callable[[nnx.Rngs], nnx.Module], **settings: Any) -> Block:
    """A Flax module as a block.

    Args:
      module: a linen module; or an nnx module, whose numbers `init` then returns whatever the key; or a function
        that makes an nnx module from `nnx.Rngs`, for fresh ones.
      **settings: passed to every call of the module, such as `deterministic=True`.

    Returns:
      A block. Its parameters are linen's `params` collection, or the nnx module's `nnx.Param`s as nested dicts. Other
      collections of a linen module (`batch_stats`) lie beside its parameters, under "collections", with gradients of
      zero; of an nnx module they stay in the block.

    Raises:
      InvalidInput: something else.

    Example:
      >>> import flax.linen as nn, jax
      >>> dense = from_flax(nn.Dense(2))
      >>> dense.init(jax.random.key(0), (1, 3))["kernel"].shape
      (3, 2)
    """
    if isinstance(module, nn.Module):
        return _linen(module, settings)
    if isinstance(module, nnx.Module):
        return _nnx(lambda rngs: module, type(module).__name__, settings)
    if callable(module):
        return _nnx(module, getattr(module, "__name__", "nnx").strip("<>"), settings)
    raise InvalidInput(
        f"from_flax got {module!r}", "a linen or an nnx module", "function(f) for a plain function"
    )


def _linen(module: nn.Module, settings: dict[str, Any]) -> Block:
    def init(key: Array, shape: Shape) -> Params:
        variables = dict(module.init({"params": key, "dropout": key}, _zeros(shape), **settings))
        params = dict(variables.pop("params", {}))
        if COLLECTIONS in params:
            raise InvalidInput(
                f"a module with a part named {COLLECTIONS!r}",
                "that name free, for what is no parameter",
                "another name for the part",
            )
        return {**params, COLLECTIONS: variables} if variables else params

    def apply(params: Params, x: Any) -> Any:
        own = {name: part for name, part in params.items() if name != COLLECTIONS}
        fixed = stop_gradient(params.get(COLLECTIONS, {}))
        return module.apply({"params": own, **fixed}, x, **settings)

    return Block(init, apply, type(module).__name__, name=module.name or "")


def _nnx(make: Callable[[nnx.Rngs], nnx.Module], kind: str, settings: dict[str, Any]) -> Block:
    # What is no parameter does not depend on the key in modules that start training, and is kept from one of them.
    graph, pattern, rest = _split(make(nnx.Rngs(0)))

    def init(key: Array, shape: Shape) -> Params:
        return nnx.to_pure_dict(_split(make(nnx.Rngs(key)))[1])

    def apply(params: Params, x: Any) -> Any:
        state = _split(nnx.merge(graph, pattern, rest))[1]
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state, rest)(x, **settings)

    return Block(init, apply, kind)


def to_linen(block: Block, name: str | None = None) -> nn.Module:
    """A block as a linen module, to be used inside others; its parameters lie under `block`.

    Example:
      >>> import jax
      >>> from diffprog import blocks
      >>> module = to_linen(blocks.linear(2))
      >>> module.init(jax.random.key(0), jax.numpy.ones((1, 3)))["params"]["block"]["bias"].shape
      (2,)
    """
    return _Linen(block, name=name)


class _Linen(nn.Module):
    block: Block

    @nn.compact
    def __call__(self, x: Any) -> Any:
        shape = jax.tree.map(specification, x)
        return self.block.apply(self.param("block", lambda key: self.block.init(key, shape)), x)


class NnxBlock(nnx.Module):
    """A block as an nnx module: `NnxBlock(block, shape, rngs=rngs)(x)`; its leaves are `nnx.Param`s.

    Example:
      >>> from flax import nnx
      >>> from diffprog import blocks
      >>> NnxBlock(blocks.linear(2), (1, 3), rngs=nnx.Rngs(0))(jax.numpy.ones((4, 3))).shape
      (4, 2)
    """

    def __init__(self, block: Block, shape: Shape, *, rngs: nnx.Rngs):
        self.block = block
        self.params = nnx.data(jax.tree.map(nnx.Param, block.init(rngs.params(), shape)))

    def __call__(self, x: Any) -> Any:
        is_param = lambda leaf: isinstance(leaf, nnx.Param)  # noqa: E731
        return self.block.apply(jax.tree.map(lambda leaf: leaf[...], self.params, is_leaf=is_param), x)


def _split(module: nnx.Module) -> Any:
    """Its graph, its parameters, and everything else."""
    return nnx.split(module, nnx.Param, ...)


def _zeros(shape: Shape) -> Any:
    return jax.tree.map(lambda x: jax.numpy.zeros(x.shape, x.dtype), specification(shape))
