"""Generators ready to be used: functions from latents to pictures that know how their latents are distributed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from diffprog import weights
from diffprog.errors import InvalidInput
from diffprog.models import dcgan
from diffprog.models.fitting import fitted
from diffprog.models.network import Params
from diffprog.weights import PackageFile

FACES = PackageFile(
    "gan_face_generate",
    "1.1.1",
    "24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
    "gan_face_generate/weights.tar",
    size=13_306_246,
)


@dataclass(frozen=True, eq=False)
class GeneratorNetwork:
    """A generator of pictures; call it with latents float32[B, latent] to get pictures float32[B, size, size, 3].

    Latents are standard normal. Two generators are equal only if they are the same object.

    Attributes:
        name: what `diffprog.models.load` knows it by.
        title: its name for people.
        latent: how many numbers a latent has.
        size: height and width of its pictures.
        apply: `(params, latents) -> pictures`, pure.
        params: the parameters, nested by layer.
    """

    name: str
    title: str
    latent: int
    size: int
    apply: Callable[[Params, jax.Array], jax.Array] = field(repr=False)
    params: Params = field(repr=False)

    def __call__(self, z: jax.Array) -> jax.Array:
        """Pictures of latents.

        Args:
            z: float32[B, latent].

        Returns:
            float32[B, size, size, 3], RGB in [0, 1].

        Raises:
            InvalidInput: latents of another shape or dtype.
        """
        return self.apply(self.params, z)

    def draw(self, key: jax.Array) -> jax.Array:
        """One latent, float32[latent], standard normal."""
        return jax.random.normal(key, (self.latent,), jnp.float32)


def to_generator(name: str, title: str, module: dcgan.DCGAN, params: Params) -> GeneratorNetwork:
    """Join the module and its parameters."""

    @jax.jit
    def forward(params: Params, z: jax.Array) -> jax.Array:
        return cast(jax.Array, module.apply({"params": params}, z))

    def apply(params: Params, z: jax.Array) -> jax.Array:
        return forward(params, _check(jnp.asarray(z), title))

    return GeneratorNetwork(name, title, dcgan.LATENT, dcgan.SIZE, apply, params)


def load_faces() -> GeneratorNetwork:
    """The generator of synthetic faces, its weights fetched when they are first used.

    Raises:
        Unreachable: the weights are not in the cache and cannot be fetched.
        BadFile: the weights are damaged or belong to another network.
    """
    title, module = "DCGAN of faces", dcgan.DCGAN()
    example = jax.ShapeDtypeStruct((1, dcgan.LATENT), jnp.float32)
    return to_generator("dcgan-faces", title, module, fitted(module, example, face_tensors(), title))


def face_tensors() -> dict[str, np.ndarray]:
    """The weights of the faces by name, from the cache or fetched."""
    return weights.load_cached("dcgan-faces", FACES, dcgan.convert)


def _check(z: jax.Array, title: str) -> jax.Array:
    if z.ndim != 2 or z.shape[-1] != dcgan.LATENT or z.dtype != jnp.float32:
        raise InvalidInput(
            f"latents of shape {z.shape} and dtype {z.dtype}",
            f"float32[B, {dcgan.LATENT}], which {title} needs",
            "z[None] for a single latent"
            if z.shape == (dcgan.LATENT,)
            else "jax.random.normal(key, (B, 100))",
        )
    return z
