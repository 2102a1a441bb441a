"""Activations of a photograph: what references, directions and attributions are made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph.objectives.expression import OUTPUT
from diffprog.graph.tap import tap

Model = Callable[[Array], Array]


def activations(model: Model, image: Any, layers: str | Sequence[str]) -> dict[str, np.ndarray]:
    """The activations of one picture, layer by layer.

    Args:
      model: any function of pictures [B, H, W, 3].
      image: [H, W, 3], RGB in [0, 1].
      layers: their names; "output" is the model's own result.

    Returns:
      layer -> array without the batch axis.

    Raises:
      InvalidInput: a picture of another form, no layers, or one that is not there.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> found = activations(lambda x: jax.nn.relu(x - 0.5).sum((1, 2)), jnp.ones((2, 2, 3)), ["relu", "output"])
      >>> found["relu"].shape, found["output"].tolist()
      ((2, 2, 3), [2.0, 2.0, 2.0])
    """
    names = as_names(layers)
    batch = as_picture(image)[None]
    inner = [name for name in names if name != OUTPUT]
    out, taps = jax.jit(lambda batch: tap(model, inner)(batch))(batch)
    found = {**taps, OUTPUT: out}
    return {name: np.asarray(found[name][0]) for name in names}


def as_names(layers: str | Sequence[str]) -> tuple[str, ...]:
    """Names of layers, each once.

    Raises:
      InvalidInput: none.
    """
    names = tuple(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"the layers {layers!r}", "the name of a layer, or several", 'layers=["fire5"]')
    return names


def as_picture(image: Any) -> Array:
    """One picture as floating [H, W, 3].

    Raises:
      InvalidInput: another form, whole numbers, or values outside of [0, 1].
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != 3 or array.dtype.kind not in "fV" or not array.size:
        raise InvalidInput(
            f"a picture {array.dtype}{list(array.shape)}",
            "one picture, float32[H, W, 3], RGB in [0, 1]",
            "image.astype('float32') / 255 for bytes; images[0] of a batch; image[..., :3] without opacity",
        )
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise InvalidInput(
            f"a picture with values from {array.min():g} to {array.max():g}",
            "finite values in [0, 1]",
            "image / 255, or image.clip(0, 1)",
        )
    return jnp.asarray(array)
