"""Published generators as guidance sees them: what of each is moved, from where, and kept by what.

| generator | latent | begins at | kept by | Adam |
|---|---|---|---|---|
| `biggan` | z and weights of classes | normal z, a few classes | z within two deviations (FuseDream) | .05 |
| `bigsleep` | the same for the first layer and each block | BigSleep's draws | BigSleep's two prices | .07 |
| `vqgan` | the grid of vectors, each replaced by the nearest code | codes by chance | their range | .1 |
| `stylegan2` | z, one style (W), or one for each layer (W+) | mapped draws, truncated | Chi for z, else nothing | .1 |
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.guide.generator import Generator
from diffprog.guide.methods import Adam
from diffprog.guide.priors import Clamp, Few, Moments, Within, parts
from diffprog.models.gans import VQGAN, BigGAN, StyleGAN2
from diffprog.vision.canvases.canvas import Size, height_width

CLASS_SPREAD = 3.0
BIGSLEEP_CLASSES = (-3.9, 0.3)  # mean and deviation of the logits that BigSleep begins from
VQGAN_SIZE = 256
SPACES = ("z", "w", "w+")


@lru_cache(maxsize=4)
def biggan(net: BigGAN, truncation: float = 1.0) -> Generator:
    """A BigGAN-deep whose latent is {"z": [latent], "classes": [classes]}, both standard normal at the start.

    The class vector is softmax(3 classes): a mixture of a few of the classes, which optimization makes another.

    Args:
      net: of `diffprog.models.gans`.
      truncation: that z is multiplied by, with the statistics that belong to it.

    Raises:
      InvalidInput: a truncation that is none.
    """
    at = net.at(truncation)
    a = net.architecture

    def draw(key: Array) -> dict[str, Array]:
        of_z, of_classes = jax.random.split(key)
        z = jax.random.truncated_normal(of_z, -2.0, 2.0, (a.latent,))
        return {"z": z, "classes": jax.random.normal(of_classes, (a.classes,))}

    def images(latents: Any) -> Array:
        return at(truncation * latents["z"], jax.nn.softmax(CLASS_SPREAD * latents["classes"]))

    name = net.name if truncation == 1 else f"{net.name}, truncation {truncation}"
    return Generator(name, draw, images, prior=parts(z=Clamp(2.0)))


@lru_cache(maxsize=4)
def bigsleep(net: BigGAN) -> Generator:
    """A BigGAN-deep with BigSleep's latent: z and classes of their own for the first layer and for each block.

    {"z": [parts, latent], "classes": [parts, classes]}; each class has a probability of its own, sigmoid(classes).

    Source:
      lucidrains/big-sleep, `Latents` and `BigSleep.forward`; its prices are divided by 100, since its score is
      multiplied by it.
    """
    a = net.architecture
    mean, deviation = BIGSLEEP_CLASSES

    def draw(key: Array) -> dict[str, Array]:
        of_z, of_classes = jax.random.split(key)
        classes = mean + deviation * jax.random.normal(of_classes, (a.parts, a.classes))
        return {"z": jax.random.normal(of_z, (a.parts, a.latent)), "classes": classes}

    def images(latents: Any) -> Array:
        return net(latents["z"], jax.nn.sigmoid(latents["classes"]))

    prior = parts(z=Moments(0.01), classes=Few(0.01))
    return Generator(f"{net.name}, as BigSleep", draw, images, prior=prior, method=Adam(0.07, warm=0, cool=0))


@lru_cache(maxsize=4)
def vqgan(net: VQGAN, size: Size = VQGAN_SIZE) -> Generator:
    """A VQGAN whose latent is the grid of vectors [h, w, embedding], each replaced by the nearest of the codebook.

    Args:
      net: of `diffprog.models.gans`.
      size: height and width of the pictures, multiples of `net.architecture.factor`; one number for a square.

    Raises:
      InvalidInput: a size that is none, or no multiple.

    Source:
      Crowson et al., "VQGAN-CLIP" (2022): the range of the codebook, Adam .1.
    """
    height, width = height_width(size)
    net.grid((height, width))
    prior = Within(*net.bounds, of="the codebook")
    shape = f"{height}x{width}"
    return Generator(
        f"{net.name}, {shape}", lambda key: net.draw(key, (height, width)), net, prior=prior, method=Adam(0.1)
    )


@lru_cache(maxsize=4)
def stylegan2(net: StyleGAN2, space: str = "w", truncation: float = 0.7) -> Generator:
    """A StyleGAN2 whose latent is z [latent], one style w [style], or a style for every layer [styles, style].

    Args:
      net: of `diffprog.models.gans`.
      space: "z", "w" or "w+": the later, the more pictures can be made, and the less they are kept to those that the
        network was trained to make.
      truncation: of draws, and of all pictures in "z".

    Raises:
      InvalidInput: another space.

    Source:
      Patashnik et al., "StyleCLIP" (2021): W+, from truncation .7, Adam .1.
    """
    if space not in SPACES:
        raise InvalidInput(f"space={space!r}", " or ".join(map(repr, SPACES)), "space='w'")
    name = f"{net.name}, {space}"
    if space == "z":
        return Generator(name, net.draw, lambda z: net(z, truncation), normal=True)

    def draw(key: Array) -> Array:
        style = net.mapping(net.draw(key)[None], truncation)[0]
        return style if space == "w" else jnp.tile(style, (net.architecture.styles, 1))

    return Generator(name, draw, net.synthesis, method=Adam(0.1))
