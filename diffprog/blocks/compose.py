"""How blocks become one: after one another, side by side, around, held still.

    chain:     x_{k+1} = f_k(x_k)                       g_k = J_k^T g_{k+1}
    branch:    y_k = f_k(x)                             g_in = sum_k J_k^T g_k
    residual:  y = f(x) + x                             g_in = J^T g + g
    frozen:    y = f(x)                                 dJ/dtheta = 0, g_in as ever

What meets again after a branch is merged by a block of `merges`. Parts have names: those you give, and otherwise
their kind, counted. A part runs in a scope of its name, so a traced graph shows it as a layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax import Array

from diffprog import rules
from diffprog.blocks.block import Block, Params, Part, Shape, located, one_array, specification
from diffprog.blocks.sharing import check_name, lifted, returned, selector
from diffprog.errors import InvalidInput


def chain(*blocks: Block, **named: Block) -> Block:
    """Blocks one after the other.

    Args:
      *blocks: the first is given x, and every other what the one before it made.
      **named: more of them, after those, under these names.

    Returns:
      A block whose parameters are a dict: name of the part to its parameters; parts without any are left out.

    Raises:
      InvalidInput: something that is no block, a name twice; at `init`, what does not fit, and in which part.

    Example:
      >>> import jax
      >>> from diffprog import blocks
      >>> mlp = chain(blocks.linear(4), blocks.relu, blocks.linear(2))
      >>> jax.tree.map(lambda leaf: leaf.shape, mlp.init(jax.random.key(0), (1, 3)))["linear_1"]
      {'bias': (2,), 'kernel': (4, 2)}
    """
    parts = _parts("chain", blocks, named, after=True)

    def init(key: Array, shape: Shape) -> Params:
        x = specification(shape)
        made: Params = {}
        for part, own_key in zip(parts, _keys(key, parts), strict=True):
            with located(part.name):
                params = part.block.init(own_key, x)
                x = jax.eval_shape(part.block.apply, params, x)
                made = lifted(made, part, params)
        return made

    def apply(params: Params, x: Any) -> Any:
        for part in parts:
            x = _run(part, params, x)
        return x

    def learn(params: Params, x: Any) -> tuple[Any, Params]:
        for part in parts:
            x, params = _train(part, params, x)
        return x, params

    return Block(init, apply, "chain", parts=parts, shared=_shared(parts), learn=_if_any(parts, learn))


def branch(*blocks: Block, **named: Block) -> Block:
    """Blocks side by side on the same x, whose gradients add up there.

    Args:
      *blocks: each is given x.
      **named: more of them, under these names.

    Returns:
      A block whose y is the tuple of what each made.

    Raises:
      InvalidInput: as `chain`.

    Example:
      >>> import jax
      >>> from diffprog import blocks
      >>> both = blocks.chain(branch(blocks.linear(4), blocks.identity), blocks.concatenate())
      >>> both.output((1, 3)).shape
      (1, 7)
    """
    parts = _parts("branch", blocks, named)
    return _side_by_side(
        "branch", parts, lambda x: rules.branch(x, len(parts)), lambda shape: (shape,) * len(parts)
    )


def parallel(*blocks: Block, **named: Block) -> Block:
    """Blocks side by side, each on its own entry of a tuple.

    Raises:
      InvalidInput: as `chain`; a tuple of another length than there are blocks.

    Example:
      >>> from diffprog import blocks
      >>> [y.shape for y in parallel(blocks.linear(4), blocks.identity).output(((1, 3), (1, 2)))]
      [(1, 4), (1, 2)]
    """
    parts = _parts("parallel", blocks, named)

    def entries(xs: Any) -> Any:
        if not isinstance(xs, tuple | list) or len(xs) != len(parts):
            got = f"{len(xs)} of them" if isinstance(xs, tuple | list) else "one thing"
            raise InvalidInput(
                f"parallel got {got} for {len(parts)} blocks",
                "a tuple with one entry for every block",
                "branch(...) to give one x to all of them",
            )
        return xs

    return _side_by_side("parallel", parts, entries, entries)


def _side_by_side(kind: str, parts: tuple[Part, ...], spread: Any, spread_shape: Any) -> Block:
    def init(key: Array, shape: Shape) -> Params:
        made: Params = {}
        shapes = spread_shape(specification(shape))
        for part, own_key, x in zip(parts, _keys(key, parts), shapes, strict=True):
            with located(part.name):
                made = lifted(made, part, part.block.init(own_key, x))
        return made

    def apply(params: Params, x: Any) -> Any:
        return tuple(_run(part, params, own) for part, own in zip(parts, spread(x), strict=True))

    def learn(params: Params, x: Any) -> tuple[Any, Params]:
        made = []
        for part, own in zip(parts, spread(x), strict=True):
            y, params = _train(part, params, own)
            made.append(y)
        return tuple(made), params

    return Block(init, apply, kind, parts=parts, shared=_shared(parts), learn=_if_any(parts, learn))


def residual(body: Block) -> Block:
    """What a block makes, added to what it was given; the parameters are the block's.

    Raises:
      InvalidInput: at `init`, a block whose y is not of the shape and dtype of its x.

    Example:
      >>> from diffprog import blocks
      >>> residual(blocks.linear(3)).output((1, 3)).shape
      (1, 3)
    """

    def init(key: Array, shape: Shape) -> Params:
        x = one_array("residual", shape, least=0)
        params = body.init(key, x)
        y = jax.eval_shape(body.apply, params, x)
        if (y.shape, y.dtype) != (x.shape, x.dtype):
            raise InvalidInput(
                f"residual got a {body.kind} that makes {y.shape} {y.dtype} from {x.shape} {x.dtype}",
                "the same shape and dtype, because the two are added",
                "chain(branch(body, shortcut), add) with a shortcut that makes that shape too",
            )
        return params

    def apply(params: Params, x: Array) -> Array:
        through, around = rules.branch(x)
        return rules.merge(body.apply(params, through), around)

    def learn(params: Params, x: Array) -> tuple[Array, Params]:
        through, around = rules.branch(x)
        y, params = body.training(params, through)
        return rules.merge(y, around), params

    whole = _around(body, "residual")
    return dataclasses.replace(whole, init=init, apply=apply, learn=learn if body.learn else None)


def frozen(block: Block, params: Params | None = None) -> Block:
    """A block that does not learn: gradients pass through it to its x, none reaches its parameters.

    Running averages inside it stay as they are, too, and are what it normalizes by, also in training.

    Args:
      block: what to hold still.
      params: parameters to hold it at. They are then part of the program, and the block has none of its own, so
        nothing can move them. Without, they stay where they are among the others, with gradients of zero: a method
        that moves what has no gradient (weight decay) still would.

    Example:
      >>> import jax
      >>> from diffprog import blocks
      >>> still = frozen(blocks.linear(2))
      >>> gradient = jax.grad(lambda p: still.apply(p, jax.numpy.ones((1, 3))).sum())
      >>> gradient(still.init(jax.random.key(0), (1, 3)))["bias"]
      Array([0., 0.], dtype=float32)
    """
    if params is None:
        return dataclasses.replace(
            _around(block, "frozen"), apply=lambda own, x: block.apply(rules.stop_gradient(own), x)
        )
    return Block(lambda key, shape: {}, lambda _, x: block.apply(rules.stop_gradient(params), x), "frozen")


def _around(body: Block, kind: str) -> Block:
    part = Part("", body, lambda params: params)
    return Block(body.init, body.apply, kind, parts=(part,), shared=body.shared)


def _parts(
    kind: str, blocks: Sequence[Block], named: Mapping[str, Block], after: bool = False
) -> tuple[Part, ...]:
    wanted = [(getattr(block, "name", "") or getattr(block, "kind", ""), block) for block in blocks]
    names: list[str] = []
    for name, block in (*wanted, *named.items()):
        if not isinstance(block, Block):
            raise InvalidInput(
                f"{kind} got {block!r}",
                "blocks",
                "function(f) for a plain function, from_flax for a Flax module",
            )
        names.append(_counted(name, names))
        check_name(names[-1])
    if not names:
        raise InvalidInput(f"{kind} got nothing", "at least one block", "identity")
    if clash := sorted(named.keys() & set(names[: len(wanted)])):
        raise InvalidInput(f"{kind} got {clash[0]!r} twice", "a name for each part", "another name")
    every = (*blocks, *named.values())
    return tuple(
        Part(name, block, selector(name, block), after) for name, block in zip(names, every, strict=True)
    )


def _counted(name: str, taken: Sequence[str]) -> str:
    number, free = 0, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _run(part: Part, params: Params, x: Any) -> Any:
    with located(part.name), jax.named_scope(part.name):
        return part.block.apply(part.select(params), x)


def _train(part: Part, params: Params, x: Any) -> tuple[Any, Params]:
    """What a part makes in training, and the whole's parameters as it leaves them."""
    if part.block.learn is None:
        return _run(part, params, x), params
    with located(part.name), jax.named_scope(part.name):
        y, own = part.block.learn(part.select(params), x)
    return y, returned(params, part, own)


def _if_any(parts: Sequence[Part], learn: Callable[..., Any]) -> Callable[..., Any] | None:
    return learn if any(part.block.learn for part in parts) else None


def _keys(key: Array, parts: Sequence[Part]) -> Array:
    return jax.random.split(key, len(parts))


def _shared(parts: Sequence[Part]) -> frozenset[str]:
    return frozenset().union(*(part.block.shared for part in parts))
