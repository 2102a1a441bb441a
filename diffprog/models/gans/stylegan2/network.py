"""A StyleGAN2 ready to be used: functions from z to styles and from styles to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.models.fitting import FETCH_AGAIN, fitted
from diffprog.models.gans.fitting import Kind
from diffprog.models.gans.parts import compiled, in_range
from diffprog.models.gans.stylegan2 import layout, rosinality
from diffprog.models.gans.stylegan2.layout import Architecture
from diffprog.models.gans.stylegan2.modules import Mapping, Synthesis
from diffprog.models.layouts import Tensors
from diffprog.models.network import Params

AVERAGED_DRAWS = 4096  # for the average style where a file has none, as in rosinality's program


@dataclass(frozen=True, eq=False)
class StyleGAN2:
    """A StyleGAN2; call it with z [B, latent] to get pictures [B, size, size, 3].

    A picture has one style w for all layers, or one for each (W+), and noise for every filter. Truncation moves styles
    towards their average: less variety, and better pictures.

    Attributes:
        architecture: its sizes.
        mapping_params: of the mapping, nested by layer.
        synthesis_params: of the synthesis, nested by layer.
        average: the mean style, [style].
        noise: what is kept with the weights, [height, width] for every filter.
    """

    architecture: Architecture
    mapping_params: Params = field(repr=False)
    synthesis_params: Params = field(repr=False)
    average: Array = field(repr=False)
    noise: tuple[Array, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """What it is called in manifests."""
        return self.architecture.name if self.architecture.name in layout.KNOWN else "stylegan2"

    @property
    def size(self) -> int:
        """Height and width of its pictures."""
        return self.architecture.size

    def __call__(self, z: Array, truncation: float = 1.0, noise: Sequence[Array] | None = None) -> Array:
        """Pictures of latents: `synthesis(mapping(z, truncation), noise)`.

        Raises:
            InvalidInput: as those two.
        """
        return self.synthesis(self.mapping(z, truncation), noise)

    def mapping(self, z: Array, truncation: float = 1.0) -> Array:
        """Styles of latents, average + truncation (w - average).

        Args:
            z: float32[B, latent], standard normal; its length makes no difference.
            truncation: 1 for all variety, 0 for the average alone.

        Returns:
            float32[B, style].

        Raises:
            InvalidInput: latents of another shape or dtype.
        """
        z = jnp.asarray(z)
        a = self.architecture
        if z.ndim != 2 or z.shape[-1] != a.latent or z.dtype != jnp.float32:
            raise InvalidInput(
                f"latents of shape {z.shape} and dtype {z.dtype}",
                f"float32[B, {a.latent}]",
                f"jax.random.normal(key, (B, {a.latent}))",
            )
        w = compiled(Mapping(a))(self.mapping_params, z)
        return w if truncation == 1.0 else self.average + truncation * (w - self.average)

    def synthesis(self, styles: Array, noise: Sequence[Array] | None = None) -> Array:
        """Pictures of styles.

        Args:
            styles: float32[B, style], or [B, styles, style] with one for every layer.
            noise: for every filter [height, width] or [B, height, width]; None: what is kept with the weights.

        Returns:
            float32[B, size, size, 3], RGB in [0, 1]; the gradient passes their limits where a step would lead back.

        Raises:
            InvalidInput: styles or noise of another shape or dtype.
        """
        styles, a = jnp.asarray(styles), self.architecture
        shapes = ((a.style,), (a.styles, a.style))
        if styles.shape[1:] not in shapes or styles.dtype != jnp.float32:
            raise InvalidInput(
                f"styles of shape {styles.shape} and dtype {styles.dtype}",
                f"float32[B, {a.style}], or [B, {a.styles}, {a.style}] with one for every layer",
                "net.mapping(z)",
            )
        given = self.noise if noise is None else tuple(jnp.asarray(one) for one in noise)
        if [one.shape[-2:] for one in given] != [one.shape for one in self.noise]:
            raise InvalidInput(
                f"noise of shapes {[one.shape for one in given]}",
                f"one for every filter: {[one.shape for one in self.noise]}, with or without a batch before",
                "jax.tree.map(lambda one: jax.random.normal(key, one.shape), net.noise)",
            )
        if styles.ndim == 2:
            styles = jnp.broadcast_to(styles[:, None], (len(styles), a.styles, a.style))
        return in_range(compiled(Synthesis(a))(self.synthesis_params, styles, given))

    def draw(self, key: Array) -> Array:
        """One z, float32[latent], standard normal."""
        return jax.random.normal(key, (self.architecture.latent,), jnp.float32)


def build(architecture: Architecture, tensors: Tensors) -> StyleGAN2:
    """A StyleGAN2 from tensors that are known to fit, in float32.

    Raises:
        BadFile: another low-pass filter than the published one.
    """
    a = architecture
    layout.check_filters(tensors)
    title = f"StyleGAN2 {a.name}"
    z, styles = (jax.ShapeDtypeStruct(s, np.float32) for s in ((1, a.latent), (1, a.styles, a.style)))
    noise = layout.noise_of(tensors, a)
    own = {name: np.asarray(t, np.float32) for name, t in layout.mapping_parameters(tensors, a).items()}
    mapping = fitted(Mapping(a), z, own, f"the mapping of {title}", FETCH_AGAIN)
    own = {name: np.asarray(t, np.float32) for name, t in layout.synthesis_parameters(tensors, a).items()}
    synthesis = fitted(Synthesis(a), (styles, noise), own, f"the synthesis of {title}", FETCH_AGAIN)
    with jax.ensure_compile_time_eval():  # arrays, also where it is first loaded while a function is traced
        known = tensors.get(layout.AVERAGE)
        average = _average(a, mapping) if known is None else jnp.asarray(known)
        return StyleGAN2(a, mapping, synthesis, average, tuple(jnp.asarray(one) for one in noise))


def _average(architecture: Architecture, mapping: Params) -> Array:
    """The mean style of many draws, the same every time."""
    z = jax.random.normal(jax.random.key(0), (AVERAGED_DRAWS, architecture.latent))
    return compiled(Mapping(architecture))(mapping, z).mean(0)


KIND: Kind = Kind(
    name="stylegan2",
    title="StyleGAN2",
    marks=(*layout.MARKS, *rosinality.MARKS),
    known=layout.KNOWN,
    recognize=layout.recognize,
    expected=layout.expected,
    optional=layout.optional,
    published=rosinality.published,
    build=build,
)
