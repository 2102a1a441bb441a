"""Generators: what is optimized and how it becomes pictures.

A generator draws one latent from a key and turns a batch of latents into pictures. The latent is any pytree: the
hundred numbers of a GAN, a GAN's numbers and its classes, the coefficients of a canvas, the weights of a network that
paints.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.models import GeneratorNetwork

CANVAS_SIZE = 64


@dataclass(frozen=True, eq=False)
class Generator:
    """Latents to pictures.

    Attributes:
      name: for people and manifests.
      draw: a key -> one latent, any pytree of floating arrays.
      images: latents with a leading axis -> pictures float32 [B, H, W, 3] in [0, 1], differentiable.
      normal: whether a latent is standard normal, so that a prior has a meaning.
    """

    name: str
    draw: Callable[[Array], Any] = field(repr=False)
    images: Callable[[Any], Array] = field(repr=False)
    normal: bool = False


def network(net: GeneratorNetwork) -> Generator:
    """A generator network of `diffprog.models`."""
    return Generator(net.name, net.draw, net, normal=True)


def canvas(canvas: Any, size: int = CANVAS_SIZE) -> Generator:
    """A canvas of `diffprog.vision.canvas`: the latent is the picture's own parameters.

    Args:
      canvas: has `init(key, size)` and `to_image(params)`.
      size: height and width of the pictures.

    Example:
      >>> from diffprog.vision.canvases import Fourier
      >>> fourier = canvas(Fourier(), 32)
      >>> fourier.images(jax.vmap(fourier.draw)(jax.random.split(jax.random.key(0), 2))).shape
      (2, 32, 32, 3)
    """
    name = f"{type(canvas).__name__.lower()}-{size}"
    return Generator(name, lambda key: canvas.init(key, size), jax.vmap(canvas.to_image))


def function(
    images: Callable[[Any], Array], draw: Callable[[Array], Any], name: str = "function"
) -> Generator:
    """Any function of latents with a leading axis, and how one latent is drawn from a key."""
    return Generator(name, draw, images)


def as_generator(what: Any) -> Generator:
    """A generator as it is, a generator network, or a canvas.

    Raises:
      InvalidInput: something else.
    """
    if isinstance(what, Generator):
        return what
    if isinstance(what, GeneratorNetwork):
        return network(what)
    if hasattr(what, "to_image") and hasattr(what, "init"):
        return canvas(what() if inspect.isclass(what) else what)
    raise InvalidInput(
        f"a generator of type {type(what).__name__}",
        "a generator network, a canvas, or a function together with how its latents are drawn",
        "generators.function(images, draw=lambda key: jax.random.normal(key, (100,)))",
    )


def checked(generator: Generator, key: Array) -> tuple[int, int]:
    """Height and width of a generator's pictures.

    Raises:
      InvalidInput: it does not make pictures.
    """
    latent = jax.eval_shape(generator.draw, key)
    stacked = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), latent)
    made = jax.eval_shape(generator.images, stacked)
    if getattr(made, "ndim", 0) != 4 or made.shape[0] != 1 or made.shape[-1] != 3:
        raise InvalidInput(
            f"{generator.name}, which makes {getattr(made, 'shape', type(made).__name__)} of one latent",
            "pictures [1, H, W, 3], RGB in [0, 1]",
            "wrapping it: generators.function(lambda z: net(z)[..., :3], draw)",
        )
    return made.shape[1], made.shape[2]
