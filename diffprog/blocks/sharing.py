"""Parameters by name: one set of numbers used at several places, whose gradient is the sum over its uses.

A block that shares keeps those parameters apart, in `params["shared"][name]`. Every block that is made of others
lifts them out of its parts and hands them down again, so that in the end they lie once, at the top, wherever in the
tree they are used. That the gradients add up is then the rule for a value used twice (`rules.branch`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from diffprog.blocks.block import Block, Params, Part, Shape, specification
from diffprog.errors import InvalidInput

SHARED = "shared"


def shared(name: str, block: Block) -> Block:
    """A use of a block whose parameters are shared by all uses of this name.

        dJ/dW = sum over the uses of g_W at that use

    Args:
      name: all blocks of this name in one program have one set of parameters.
      block: what to compute; every use says it again, and may say it differently as long as the parameters fit.

    Returns:
      A block; its parameters are `{"shared": {name: ...}}`, also inside `chain` and `branch`.

    Raises:
      InvalidInput: a name that is empty, has a slash, or is shared inside `block` already; at `init`, parameters of
        another shape than those of the first use.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from diffprog import blocks
      >>> both = blocks.parallel(shared("tower", blocks.linear(2)), shared("tower", blocks.linear(2)))
      >>> list(both.init(jax.random.key(0), ((1, 3), (1, 3))))
      ['shared']
    """
    check_name(name)
    if name in block.shared:
        raise InvalidInput(
            f"{name!r} shared inside itself", "a name for each set of parameters", "another name"
        )

    def init(key: Array, shape: Shape) -> Params:
        own, common = _parted(block, block.init(key, specification(shape)))
        return {SHARED: {name: own, **common}}

    def select(params: Params) -> Params:
        return _handed_down(block, params[SHARED][name], params)

    def learn(params: Params, x: Any) -> tuple[Any, Params]:
        y, moved = block.training(select(params), x)
        own, common = _parted(block, moved)
        return y, {**params, SHARED: {**params[SHARED], name: own, **common}}

    return Block(
        init=init,
        apply=lambda params, x: block.apply(select(params), x),
        learn=learn if block.learn else None,
        kind=block.kind,
        name=name,
        parts=(Part(f"{SHARED}/{name}", block, select),),
        shared=block.shared | {name},
    )


def lifted(made: Params, part: Part, params: Params) -> Params:
    """The parameters made so far and those of one more part, its shared ones on top.

    Raises:
      InvalidInput: a name that is shared by parameters of different shapes.
    """
    own, common = _parted(part.block, params)
    before = made.get(SHARED, {})
    for name in common.keys() & before.keys():
        if _shapes(common[name]) != _shapes(before[name]):
            raise InvalidInput(
                f"{name!r} shared by parameters {_shapes(before[name])} and {_shapes(common[name])}",
                "one set of parameters that fits every use",
                "another name for one of the uses, or inputs with as many features",
            )
    # The first use is the one that counts: its numbers are kept.
    together = {SHARED: {**common, **before}} if common or before else {}
    return {**made, **({part.name: own} if jax.tree.leaves(own) else {}), **together}


def returned(params: Params, part: Part, own: Params) -> Params:
    """The parameters of the whole with those of one part, its shared ones included, in their places."""
    own, common = _parted(part.block, own)
    together = {SHARED: {**params[SHARED], **common}} if common else {}
    return {**params, **({part.name: own} if jax.tree.leaves(own) else {}), **together}


def selector(name: str, block: Block) -> Callable[[Params], Params]:
    """What picks a part's parameters from those of the whole, its shared ones included."""
    return lambda params: _handed_down(block, params.get(name, {}), params)


def check_name(name: Any) -> None:
    """Refuse what cannot name a part.

    Raises:
      InvalidInput: no text, the word `shared`, or a slash, which separates names in paths.
    """
    if not isinstance(name, str) or not name or "/" in name or name == SHARED:
        raise InvalidInput(
            f"the name {name!r}",
            f"text without a slash, other than {SHARED!r}, under which shared parameters are kept",
            "a name such as 'encoder'",
        )


def _parted(block: Block, params: Params) -> tuple[Params, dict[str, Params]]:
    if not block.shared:
        return params, {}
    return {name: own for name, own in params.items() if name != SHARED}, params[SHARED]


def _handed_down(block: Block, own: Params, params: Params) -> Params:
    if not block.shared:
        return own
    return {**own, SHARED: {name: params[SHARED][name] for name in sorted(block.shared)}}


def _shapes(params: Params) -> Any:
    paths = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path): tuple(leaf.shape) for path, leaf in paths}
