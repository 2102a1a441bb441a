"""Dtypes, as the rules of linear operations treat them: one real floating dtype, and wide sums."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput


def check_floating(*arrays: Array) -> None:
    """Refuse integers, complex numbers and mixed dtypes, for which the rules are not written."""
    dtypes = [array.dtype for array in arrays]
    if len(set(dtypes)) > 1 or not jnp.issubdtype(dtypes[0], jnp.floating):
        raise InvalidInput(
            "arrays of " + " and ".join(str(dtype) for dtype in dtypes),
            "one real floating dtype for all, so that gradients exist and have it too",
            "x.astype(W.dtype)",
        )


def summed_in(dtype: Any) -> Any:
    """The dtype for sums of numbers of `dtype`: float32 for the half-width ones, else itself."""
    return jnp.promote_types(dtype, jnp.float32)
