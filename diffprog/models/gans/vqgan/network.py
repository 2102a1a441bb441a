"""A VQGAN ready to be used: a function of grids of vectors that knows its codebook."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import BadFile, InvalidInput
from diffprog.models.fitting import FETCH_AGAIN, fitted
from diffprog.models.gans.fitting import Kind
from diffprog.models.gans.parts import compiled, in_range
from diffprog.models.gans.vqgan import layout
from diffprog.models.gans.vqgan.layout import Architecture
from diffprog.models.gans.vqgan.modules import GROUPS, Decoder, nearest, quantized
from diffprog.models.layouts import Tensors
from diffprog.models.network import Params


@dataclass(frozen=True, eq=False)
class VQGAN:
    """The half of a VQGAN that makes pictures; call it with z [B, h, w, embedding] to get [B, H, W, 3].

    Every vector of the grid is replaced by the nearest of the codebook, and becomes `factor` x `factor` pixels. The
    grid may have any size.

    Attributes:
        architecture: its sizes.
        params: of the decoder, nested by layer.
        codebook: float32[codes, embedding].
    """

    architecture: Architecture
    params: Params = field(repr=False)
    codebook: Array = field(repr=False)

    @property
    def name(self) -> str:
        """What it is called in manifests."""
        own = self.architecture.name
        return f"vqgan-{own}" if own in layout.KNOWN else "vqgan"

    def __call__(self, z: Array) -> Array:
        """Pictures of grids, their vectors replaced by the nearest of the codebook.

        The gradient passes straight through the choice, and through the limits of the picture where a step would lead
        back.

        Args:
            z: float32[B, h, w, embedding].

        Returns:
            float32[B, H, W, 3], RGB in [0, 1].

        Raises:
            InvalidInput: a grid of another shape or dtype.
        """
        return self.decode(self.quantized(z))

    def decode(self, z: Array) -> Array:
        """Pictures of grids as they are.

        Raises:
            InvalidInput: a grid of another shape or dtype.
        """
        return in_range(compiled(Decoder(self.architecture))(self.params, self._checked(z)))

    def quantized(self, z: Array) -> Array:
        """The nearest vectors of the codebook.

        Raises:
            InvalidInput: a grid of another shape or dtype.
        """
        return quantized(self._checked(z), self.codebook)

    def codes(self, z: Array) -> Array:
        """The numbers of the nearest vectors, int32[B, h, w].

        Raises:
            InvalidInput: a grid of another shape or dtype.
        """
        return nearest(self._checked(z), self.codebook)

    def draw(self, key: Array, size: tuple[int, int]) -> Array:
        """A grid of vectors of the codebook, chosen by chance, for a picture of this height and width.

        Raises:
            InvalidInput: a size that is no multiple of `factor` pixels.
        """
        return self.codebook[jax.random.randint(key, self.grid(size), 0, self.architecture.codes)]

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the grid for a picture of this height and width.

        Raises:
            InvalidInput: a size that is no multiple of `factor` pixels.
        """
        factor = self.architecture.factor
        if any(side < factor or side % factor for side in size):
            near = tuple(max(factor, round(side / factor) * factor) for side in size)
            raise InvalidInput(
                f"size={size}", f"multiples of {factor} pixels, one vector each", f"size={near}"
            )
        return size[0] // factor, size[1] // factor

    @property
    def bounds(self) -> tuple[Array, Array]:
        """The least and the greatest of every channel in the codebook, [embedding] each."""
        return self.codebook.min(0), self.codebook.max(0)

    def _checked(self, z: Array) -> Array:
        z = jnp.asarray(z)
        numbers = self.architecture.embedding
        if z.ndim != 4 or z.shape[-1] != numbers or z.dtype != jnp.float32:
            raise InvalidInput(
                f"a grid of shape {z.shape} and dtype {z.dtype}",
                f"float32[B, h, w, {numbers}]",
                "jax.vmap(lambda key: net.draw(key, (256, 256)))(jax.random.split(key, B))",
            )
        return z


def build(architecture: Architecture, tensors: Tensors) -> VQGAN:
    """A VQGAN from tensors that are known to fit, in float32.

    Raises:
        BadFile: channels that are no multiples of 32, which its normalization groups them by.
    """
    if any(width % GROUPS for width in architecture.widths):
        raise BadFile(
            f"a VQGAN of {architecture.widths} channels",
            f"multiples of {GROUPS}, the groups of its normalization",
            "the weights of a published VQGAN",
        )
    own = layout.parameters(tensors, architecture)
    example = jax.ShapeDtypeStruct((1, 2, 2, architecture.embedding), np.float32)
    params = fitted(Decoder(architecture), example, own, f"VQGAN {architecture.name}", FETCH_AGAIN)
    with jax.ensure_compile_time_eval():  # an array, also where it is first loaded while a function is traced
        return VQGAN(architecture, params, jnp.asarray(layout.codebook(tensors, architecture)))


KIND: Kind = Kind(
    name="vqgan",
    title="VQGAN",
    marks=layout.MARKS,
    known=layout.KNOWN,
    recognize=layout.recognize,
    expected=layout.expected,
    ignored=layout.ignored,
    build=build,
)
