"""Generators: what is optimized and how it becomes pictures.

A generator draws one latent from a key and turns a batch of latents into pictures. The latent is any pytree: the
hundred numbers of a GAN, a GAN's numbers and its classes, the coefficients of a canvas, the weights of a network that
paints.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.guide.generator import Generator as Generator
from diffprog.guide.generator import checked as checked
from diffprog.guide.methods import Adam
from diffprog.guide.published import biggan as biggan
from diffprog.guide.published import bigsleep as bigsleep
from diffprog.guide.published import stylegan2 as stylegan2
from diffprog.guide.published import vqgan as vqgan
from diffprog.models import GeneratorNetwork, gans
from diffprog.vision.canvases import CPPN

CANVAS_SIZE = 64
CPPN_METHOD = Adam(0.005)
PUBLISHED = {gans.BigGAN: biggan, gans.VQGAN: vqgan, gans.StyleGAN2: stylegan2}


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
    # The weights of a network that paints, each of which moves all pixels, are moved in smaller steps.
    method = CPPN_METHOD if isinstance(canvas, CPPN) else None
    return Generator(name, lambda key: canvas.init(key, size), jax.vmap(canvas.to_image), method=method)


def function(
    images: Callable[[Any], Array], draw: Callable[[Array], Any], name: str = "function"
) -> Generator:
    """Any function of latents with a leading axis, and how one latent is drawn from a key."""
    return Generator(name, draw, images)


def as_generator(what: Any) -> Generator:
    """A generator as it is, a generator network, a published generator with its defaults, or a canvas.

    Raises:
      InvalidInput: something else.
    """
    if isinstance(what, Generator):
        return what
    if isinstance(what, GeneratorNetwork):
        return network(what)
    if type(what) in PUBLISHED:
        return PUBLISHED[type(what)](what)
    if hasattr(what, "to_image") and hasattr(what, "init"):
        return canvas(what() if inspect.isclass(what) else what)
    raise InvalidInput(
        f"a generator of type {type(what).__name__}",
        "a generator network, a canvas, or a function together with how its latents are drawn",
        "generators.function(images, draw=lambda key: jax.random.normal(key, (100,)))",
    )
