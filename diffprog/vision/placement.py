"""Where pictures lie: shared out evenly over devices, on one machine or on several, by JAX's own sharding.

Every array whose first axis is the group of pictures is cut along it; everything else is on every device. Pictures
never meet, so nothing but scores and finished pictures travels between devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diffprog.errors import InvalidInput

AXIS = "pictures"


class Placement:
    """How groups of `count` pictures lie on devices.

    Attributes:
      count: pictures of a group.
      mesh: the devices they are shared out over.

    Raises:
      InvalidInput: a number of pictures that the devices cannot share out evenly.
    """

    def __init__(self, count: int, devices: Sequence[jax.Device]):
        if count % len(devices):
            raise InvalidInput(
                f"groups of {count} pictures for {len(devices)} devices",
                "as many pictures for every device",
                f"groups of {len(devices) * -(-count // len(devices))}",
            )
        self.count, self.mesh = count, Mesh(list(devices), (AXIS,))

    def placed(self, tree: Any, split: bool = True) -> Any:
        """The same arrays, each on its devices."""
        return jax.tree.map(lambda leaf: _put(leaf, self._sharding(leaf, split)), tree)

    def kept(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step `(state, *args) -> (state, report)` that leaves its state where it was, and its report everywhere."""

        def placed(state: Any, *args: Any) -> Any:
            after, report = step(self._held(state), *args)
            return self._held(after), self._held(report, split=False)

        return placed

    def gathered(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose results are brought to every device."""
        return lambda *args: self._held(function(*args), split=False)

    def apart(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A function of a group, evaluated by every device for its own pictures; XLA would gather a whole FFT."""
        split = PartitionSpec(AXIS)
        return jax.shard_map(function, mesh=self.mesh, in_specs=split, out_specs=split, check_vma=False)

    def _held(self, tree: Any, split: bool = True) -> Any:
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, self._sharding(leaf, split)), tree
        )

    def _sharding(self, leaf: Any, split: bool) -> NamedSharding:
        grouped = split and jax.numpy.shape(leaf)[:1] == (self.count,)
        return NamedSharding(self.mesh, PartitionSpec(AXIS) if grouped else PartitionSpec())


def _put(leaf: Any, sharding: NamedSharding) -> Any:
    """An array that all processes have, laid out over the devices of all of them."""
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(
            _put(jax.random.key_data(leaf), sharding), impl=jax.random.key_impl(leaf)
        )
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda part: whole[part])
