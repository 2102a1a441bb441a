"""What a block is made of, printed: names, shapes and counts, without computing anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax

from diffprog.blocks.block import Block, Params, Shape, specification


@dataclass(frozen=True)
class Row:
    """One part without parts of its own.

    Attributes:
      path: where it is, names separated by slashes; "" for the block itself.
      kind: what it is.
      output: shape of what it makes, or shapes.
      parameters: name and shape of each.
      count: how many numbers those are; 0 where they are shared with a row above.
      frozen: whether they stay as they are.
    """

    path: str
    kind: str
    output: str
    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    count: int
    frozen: bool


@dataclass(frozen=True)
class Table:
    """The rows, in the order in which they run."""

    rows: tuple[Row, ...]

    @property
    def count(self) -> int:
        """All parameters, shared ones once."""
        return sum(row.count for row in self.rows)

    def __str__(self) -> str:
        """Columns of text and a line with the total."""
        cells = [("name", "kind", "makes", "parameters", "count"), *map(_cells, self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(4)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)) + f"  {row[4]:>9}"
            for row in cells
        ]
        still = sum(row.count for row in self.rows if row.frozen)
        return "\n".join(
            [*lines, f"{self.count:,} parameters" + (f", {still:,} of them frozen" if still else "")]
        )


def table(block: Block, shape: Shape) -> Table:
    """Names, shapes and parameter counts of a block for an x of this shape.

    Example:
      >>> from diffprog import blocks
      >>> print(table(blocks.chain(blocks.linear(4), blocks.relu, head=blocks.linear(2)), (1, 3)))
      name    kind    makes   parameters                   count
      linear  linear  (1, 4)  bias (4,) kernel (3, 4)         16
      relu    relu    (1, 4)                                   0
      head    linear  (1, 2)  bias (2,) kernel (4, 2)         10
      26 parameters
    """
    x = specification(shape)
    params = jax.eval_shape(lambda key: block.init(key, x), jax.random.key(0))
    return Table(tuple(_rows(block, params, x, "", set(), False)))


def _rows(block: Block, params: Params, x: Any, path: str, seen: set[str], still: bool) -> Iterator[Row]:
    still = still or block.kind == "frozen"
    if not block.parts:
        yield _row(block, params, x, path, path in seen, still)
        seen.add(path)
        return
    given = x
    for part in block.parts:
        given = given if part.after else _entry(block, x, part)
        own = part.select(params)
        yield from _rows(part.block, own, given, _below(path, part.name), seen, still)
        given = jax.eval_shape(part.block.apply, own, given)


def _entry(block: Block, x: Any, part: Any) -> Any:
    return x[block.parts.index(part)] if block.kind == "parallel" else x


def _below(path: str, name: str) -> str:
    """Shared parameters lie at the top, wherever they are used."""
    return name if not path or name.startswith("shared/") else f"{path}/{name}".rstrip("/")


def _row(block: Block, params: Params, x: Any, path: str, again: bool, still: bool) -> Row:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    shapes = tuple((_name(place), tuple(leaf.shape)) for place, leaf in leaves)
    makes = ", ".join(str(y.shape) for y in jax.tree.leaves(jax.eval_shape(block.apply, params, x)))
    count = 0 if again else sum(math.prod(shape) for _, shape in shapes)
    return Row(path, block.kind, makes, shapes, count, still)


def _name(place: Any) -> str:
    return jax.tree_util.keystr(place, simple=True, separator="/")


def _cells(row: Row) -> tuple[str, ...]:
    parameters = " ".join(f"{name} {shape}".strip() for name, shape in row.parameters)
    shared = bool(row.parameters) and row.count == 0
    kind = f"frozen {row.kind}" if row.frozen and row.kind != "frozen" else row.kind
    return row.path, kind, row.output, parameters, "as above" if shared else f"{row.count:,}"
