"""A network that paints: from the place (x, y) of every pixel to its colour (a compositional pattern network).

The parameters are the weights of the network. Its pictures are smooth and clear-cut like vector graphics, and can be
painted at any size from the same weights (`paint`).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.vision.canvases.canvas import Size, Sized, height_width

Weights = tuple[tuple[Array, Array], ...]

EDGE = 3.0**0.5  # coordinates run from -EDGE to EDGE, and so have deviation 1
ARCTAN, ARCTAN_SQUARED = 0.67, 0.6  # root mean squares of arctan(a) and of its square, for a normal a
BIASES = 0.1


@dataclass(frozen=True)
class CPPN:
    """A dense network of (x, y), the same for every pixel; activations a / .67 and a^2 / .6 of a = arctan(...).

    The last layer's weights start at 0, so the first picture is of one colour, and moves as a whole.

    Attributes:
      hidden: units of every hidden layer; their two activations make twice as many inputs of the next.
      layers: hidden layers.
      channels: of the picture.

    Source: Stanley 2007, "Compositional pattern producing networks"; Lucid, `param/cppn.py` (24 units, 8 layers,
    weights of variance 1 / inputs, biases of deviation .1).
    """

    hidden: int = 24
    layers: int = 8
    channels: int = 3

    def init(self, key: Array, size: Size) -> Sized:
        """For every layer its weights [inputs, outputs] and biases [outputs]."""
        widths = [2, *[2 * self.hidden] * self.layers]
        *keys, last = jax.random.split(key, self.layers + 1)
        hidden = [_layer(k, n, self.hidden) for k, n in zip(keys, widths[:-1], strict=True)]
        weights, biases = _layer(last, widths[-1], self.channels)
        return Sized((*hidden, (jnp.zeros_like(weights), biases)), height_width(size))

    def to_image(self, params: Sized) -> Array:
        """[H, W, C] in [0, 1]."""
        return paint(params.values, params.size)


def paint(weights: Weights, size: Size) -> Array:
    """The picture that a network paints at any size: [H, W, C] in [0, 1]."""
    height, width = height_width(size)
    step = 2 * EDGE / max(height - 1, width - 1, 1)
    rows, columns = (step * (jnp.arange(n) - (n - 1) / 2) for n in (height, width))
    x, y = jnp.meshgrid(columns, rows)
    values = jnp.stack([x, y], -1)
    for matrix, bias in weights[:-1]:
        values = _composite(values @ matrix + bias)  # (H, W, n) (n, m) -> (H, W, m)
    matrix, bias = weights[-1]
    return jax.nn.sigmoid(values @ matrix + bias)


def _composite(values: Array) -> Array:
    bent = jnp.arctan(values)
    return jnp.concatenate([bent / ARCTAN, bent * bent / ARCTAN_SQUARED], -1)


def _layer(key: Array, inputs: int, outputs: int) -> tuple[Array, Array]:
    draw, other = jax.random.split(key)
    # A normal distribution cut at two deviations, widened back to the deviation that it had before the cut.
    matrix = jax.random.truncated_normal(draw, -2, 2, (inputs, outputs)) / (0.87962566 * inputs**0.5)
    return matrix, BIASES * jax.random.normal(other, (outputs,))
