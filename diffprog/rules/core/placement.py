"""Where arrays lie: on a mesh with explicit axes, or inside `shard_map`, an array's type says so.

A rule's result, and every cotangent, must have the type that JAX would give it. What is said here is all the rules
know of placement: elsewhere formulas are traced, and the operations in them place their results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax


def like(x: Any) -> jax.ShapeDtypeStruct:
    """Shape, dtype and place of an array, for `out`."""
    aval = jax.typeof(x)
    sharding = aval.sharding if is_placed(aval) else None
    return jax.ShapeDtypeStruct(
        aval.shape, aval.dtype, sharding=sharding, manual_axis_type=aval.manual_axis_type
    )


def alike(operands: list[Any], others: Iterable[Any] = ()) -> list[Any]:
    """Inside `shard_map`: all operands vary over the same axes. The transpose of this cast is the sum over devices."""
    axes: frozenset[Any] = frozenset().union(*map(varying, (*operands, *others)))

    def cast(v: Any) -> Any:
        missing = tuple(sorted(axes - varying(v), key=str))
        return jax.lax.pcast(v, missing, to="varying") if missing else v

    return [cast(v) for v in operands]


def is_placed(aval: Any) -> bool:
    """Whether its type says where it lies: inside `shard_map`, or on a mesh with explicit axes."""
    return bool(aval.manual_axis_type.varying or any(aval.sharding.spec))


def varying(v: Any) -> frozenset[Any]:
    """The axes of a `shard_map` over which v differs from device to device."""
    place = (v if isinstance(v, jax.ShapeDtypeStruct) else jax.typeof(v)).manual_axis_type
    return frozenset() if place is None else place.varying
