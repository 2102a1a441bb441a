"""A BigGAN-deep ready to be used: a function of latents and classes that knows how both are distributed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.models.fitting import FETCH_AGAIN, fitted
from diffprog.models.gans.biggan import layout
from diffprog.models.gans.biggan.layout import Architecture, Statistics
from diffprog.models.gans.biggan.modules import BigGANDeep
from diffprog.models.gans.fitting import Kind
from diffprog.models.gans.parts import compiled
from diffprog.models.labels import class_index, imagenet_labels
from diffprog.models.layouts import Tensors
from diffprog.models.network import Params

CUT = 2.0  # deviations at which the normal distribution of z is cut, as in training


@dataclass(frozen=True, eq=False)
class BigGAN:
    """A BigGAN-deep; call it with z [B, latent] and class vectors [B, classes] to get pictures [B, size, size, 3].

    A z is normal, cut at two deviations, and multiplied by the truncation: less of it is less variety and better
    pictures. The statistics of batch normalization belong to a truncation, see `at`. Latents and classes may also have
    an axis of parts, [B, parts, ...]: one for the first layer and each block.

    Attributes:
        architecture: its sizes.
        params: of the module, nested by layer, with the statistics of `truncation`.
        tables: statistics for every truncation.
        truncation: that the statistics are of.
    """

    architecture: Architecture
    params: Params = field(repr=False)
    tables: Statistics = field(repr=False)
    truncation: float = 1.0

    @property
    def name(self) -> str:
        """What it is called in manifests."""
        return self.architecture.name if self.architecture.name in layout.KNOWN else "biggan-deep"

    @property
    def size(self) -> int:
        """Height and width of its pictures."""
        return self.architecture.size

    def __call__(self, z: Array, classes: Array) -> Array:
        """Pictures of latents.

        Args:
            z: float32[B, latent] or [B, parts, latent].
            classes: float32[B, classes] or [B, parts, classes], weights that sum to 1; others are extrapolated to.

        Returns:
            float32[B, size, size, 3], RGB in [0, 1].

        Raises:
            InvalidInput: latents or classes of another shape or dtype.
        """
        z, classes = jnp.asarray(z), jnp.asarray(classes)
        a = self.architecture
        for what, array, length in (("latents", z, a.latent), ("classes", classes, a.classes)):
            shaped = array.shape[-1:] == (length,) and array.ndim in (2, 3) and array.dtype == jnp.float32
            if not shaped or len(array) != len(z) or (array.ndim == 3 and array.shape[1] != a.parts):
                raise InvalidInput(
                    f"{what} of shape {array.shape} and dtype {array.dtype}",
                    f"float32[B, {length}], or [B, {a.parts}, {length}] for one in every part",
                    "z, classes = jax.vmap(net.draw)(jax.random.split(key, B))",
                )
        return compiled(BigGANDeep(a))(self.params, z, classes)

    def at(self, truncation: float, as_published: bool = False) -> BigGAN:
        """The same network with the statistics of another truncation, for latents that are multiplied by it.

        Args:
            truncation: above 0, at most 1.
            as_published: interpolate between rows of the tables as the published program does, whose weights are the
                wrong way round; only to get its pictures to the bit.

        Raises:
            InvalidInput: a truncation that is none.
        """
        if isinstance(truncation, bool) or not 0 < truncation <= 1:
            raise InvalidInput(f"truncation={truncation}", "a number above 0, at most 1", "truncation=0.5")
        changed = layout.at_truncation(self.tables, float(truncation), as_published)
        flat = flatten_dict(self.params)
        replaced = {path: changed.get("/".join(path), tensor) for path, tensor in flat.items()}
        params = jax.device_put(unflatten_dict(replaced), may_alias=False)
        return dataclasses.replace(self, params=params, truncation=float(truncation))

    def draw(self, key: Array) -> tuple[Array, Array]:
        """One z [latent] and one class vector [classes], as in training, z times the truncation."""
        of_z, of_class = jax.random.split(key)
        z = jax.random.truncated_normal(of_z, -CUT, CUT, (self.architecture.latent,), jnp.float32)
        number = jax.random.randint(of_class, (), 0, self.architecture.classes)
        return self.truncation * z, jax.nn.one_hot(number, self.architecture.classes)

    def class_vector(self, *names: str | int) -> Array:
        """The class vector of one class of ImageNet, or of several in equal parts.

        Raises:
            InvalidInput: no class has this name, several do, or the network is of other classes.
        """
        labels = imagenet_labels()
        if len(labels) != self.architecture.classes:
            raise InvalidInput(
                f"the classes {names} of a network of {self.architecture.classes} classes",
                f"ImageNet's {len(labels)} classes, whose names are known",
                "jax.nn.one_hot(number, net.architecture.classes)",
            )
        found = jnp.array([class_index(labels, name) for name in names])
        return jax.nn.one_hot(found, len(labels)).mean(0)


def build(architecture: Architecture, tensors: Tensors) -> BigGAN:
    """A BigGAN from tensors that are known to fit, in float32."""
    tables = layout.statistics(tensors, architecture)
    own = layout.parameters(tensors, architecture) | layout.at_truncation(tables, 1.0)
    a = architecture
    example = tuple(jax.ShapeDtypeStruct((1, length), np.float32) for length in (a.latent, a.classes))
    params = fitted(BigGANDeep(a), example, own, f"BigGAN-deep {a.name}", FETCH_AGAIN)
    return BigGAN(architecture, params, tables)


KIND: Kind = Kind(
    name="biggan",
    title="BigGAN-deep",
    marks=layout.MARKS,
    known=layout.KNOWN,
    recognize=layout.recognize,
    expected=layout.expected,
    optional=layout.optional,
    build=build,
)
