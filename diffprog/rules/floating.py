"""The one check of dtypes that the rules of linear operations share."""

from __future__ import annotations

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
