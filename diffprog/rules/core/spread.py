"""What devices tell each other inside `jax.shard_map`, for rules whose batch is spread over them.

Every device has `b` of the `B` rows of a batch, in the order of the mesh. `axis_name` is the axis of the mesh, or None
where one device has all rows: then nothing is told, and each function here gives back what it got.
"""

from __future__ import annotations

from typing import Any

from jax import Array, lax

from diffprog.errors import InvalidInput
from diffprog.rules.core.placement import varying

AxisName = str | None


def gathered(x: Array, axis_name: AxisName) -> Array:
    """The rows of all devices, on each: [b, ...] -> [B, ...]."""
    return x if axis_name is None else lax.all_gather(x, axis_name, tiled=True)


def scattered(x: Array, axis_name: AxisName) -> Array:
    """The sum over devices, of which each keeps its own rows: [B, ...] -> [b, ...]. The transpose of `gathered`."""
    return x if axis_name is None else lax.psum_scatter(x, axis_name, scatter_dimension=0, tiled=True)


def summed(x: Array, axis_name: AxisName) -> Array:
    """The sum over devices, on each."""
    return x if axis_name is None else lax.psum(x, axis_name)


def largest(x: Array, axis_name: AxisName) -> Array:
    """The maximum over devices, on each; without a derivative."""
    return x if axis_name is None else lax.pmax(lax.stop_gradient(x), axis_name)


def own(x: Array, rows: int, axis_name: AxisName) -> Array:
    """Of what all devices have, this device's part: [B] -> [b]."""
    return x if axis_name is None else lax.dynamic_slice_in_dim(x, first_row(rows, axis_name), rows)


def first_row(rows: int, axis_name: AxisName) -> Array | int:
    """The number, among all rows, of this device's first."""
    return 0 if axis_name is None else rows * lax.axis_index(axis_name)


def check_spread(where: str, axis_name: AxisName, **arrays: Any) -> None:
    """Refuse rows that are not spread over the axis: every device would count them anew.

    Raises:
      InvalidInput: names the array.
    """
    for name, x in arrays.items():
        if axis_name is not None and axis_name not in varying(x):
            raise InvalidInput(
                f"{where} got axis_name={axis_name!r} and {name} that is not spread over it",
                "rows of a batch inside jax.shard_map, which checks what varies (check_vma=True, as by default)",
                f"jax.shard_map(..., in_specs=jax.P({axis_name!r})) for {name}",
            )
