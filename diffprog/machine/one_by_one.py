"""A batch, one example at a time, spread over the devices.

On CPUs a batch is rarely faster than its examples one after the other. The temporaries of one example fit the
caches and are used again by the next; those of a batch do not, and above 32 MiB the kernel clears their pages anew
at every call. What does help is a second stream: split one CPU into several host devices (`tune(devices=2)`) and
give each its share of the batch. On accelerators the batch is the parallelism, and this is `jax.vmap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diffprog.errors import InvalidInput


def one_by_one(
    function: Callable[..., Any], in_axes: int | Sequence[int | None] | None = 0
) -> Callable[..., Any]:
    """Like `jax.vmap(function, in_axes)`, evaluated one example at a time on every device.

    Args:
      function: of one example: arrays to a pytree of arrays.
      in_axes: 0 for arguments that carry the batch on their first axis, None for those that all examples share;
        one entry for all arguments, or one for each.

    Returns:
      A function of the batch, for use under `jax.jit`. The examples are shared out evenly over as many devices as
      divide their number. Arguments that were put on one device by hand (`jax.device_put`) are moved, but not under
      an outer `jit`, where JAX refuses them.

    Raises:
      InvalidInput: another axis than 0 or None, no batched argument, or batches of different lengths.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> gradient = jax.jit(one_by_one(jax.grad(lambda x, w: jnp.sum(w * x**2)), in_axes=(0, None)))
      >>> gradient(jnp.arange(3.0), 10.0)
      Array([ 0., 20., 40.], dtype=float32)
    """

    def mapped(*args: Any) -> Any:
        axes = _axes(in_axes, len(args))
        if jax.default_backend() != "cpu":
            return jax.vmap(function, axes)(*args)
        batched = [arg for arg, axis in zip(args, axes, strict=True) if axis == 0]
        shared = [arg for arg, axis in zip(args, axes, strict=True) if axis is None]
        count = _length(batched)

        def run(batched: Any, shared: Any) -> Any:
            def one(example: Any) -> Any:
                parts = {0: iter(example), None: iter(shared)}
                return function(*(next(parts[axis]) for axis in axes))

            return jax.lax.map(one, batched)

        devices = [d for d in jax.local_devices() if d.platform == "cpu"]
        streams = max(n for n in range(1, len(devices) + 1) if count % n == 0)
        if streams == 1 or not count:
            return run(batched, shared)
        mesh, split = Mesh(devices[:streams], ("examples",)), PartitionSpec("examples")
        batched, shared = _spread(batched, mesh, split), _spread(shared, mesh, PartitionSpec())
        return jax.shard_map(
            run, mesh=mesh, in_specs=(split, PartitionSpec()), out_specs=split, check_vma=False
        )(batched, shared)

    return mapped


def _spread(args: Any, mesh: Mesh, split: PartitionSpec) -> Any:
    """Arrays that lie on one device by the caller's wish are moved; under `jit` JAX decides, and refuses those."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args)):
        return args
    return jax.device_put(args, NamedSharding(mesh, split))


def _axes(in_axes: int | Sequence[int | None] | None, count: int) -> tuple[int | None, ...]:
    axes = tuple(in_axes) if isinstance(in_axes, Sequence) else (in_axes,) * count
    if len(axes) != count or any(axis not in (0, None) for axis in axes) or 0 not in axes:
        raise InvalidInput(
            f"in_axes={in_axes!r} for {count} arguments",
            "0 or None for every argument, and 0 for at least one",
            "moving the batch to the first axis with jnp.moveaxis",
        )
    return axes


def _length(batched: Sequence[Any]) -> int:
    shapes = [jax.numpy.shape(leaf) for leaf in jax.tree.leaves(batched)]
    lengths = {shape[0] for shape in shapes if shape}
    if len(lengths) != 1 or () in shapes:
        raise InvalidInput(
            f"batches of shapes {', '.join(map(str, shapes)) or 'nothing'}",
            "arrays whose first axis is the same batch",
            "in_axes=None for arguments that all examples share",
        )
    return lengths.pop()
