"""A network ready to be used: a function of pictures that knows its size, its classes and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp

from diffprog.errors import InvalidInput
from diffprog.graph.objectives import Objective, Statistics, logit
from diffprog.models import labels as names_of_classes

Params = Mapping[str, Any]
STATISTICS = "statistics/"  # how the names of tensors begin that say what natural pictures look like inside


@dataclass(frozen=True, eq=False)
class Network:
    """A classifier of pictures; call it with float32[B, H, W, 3], RGB in [0, 1], to get logits [B, classes].

    The preprocessing that the weights were trained with happens inside. Pictures of another size than
    `input_size` are used as they are: the network is convolutional, and its last layers average over space.
    Two networks are equal only if they are the same object, so a network can be a static argument of
    `jax.jit`.

    Attributes:
        name: what `diffprog.models.load` knows it by.
        title: its name for people.
        input_size: height and width of the pictures it was made for.
        min_size: the smallest height and width that it can use.
        labels: for each class its names, separated by ", ".
        apply: `(params, images) -> logits`, pure; to run it with other parameters than its own.
        params: the parameters, nested by layer.
        statistics: layer -> (mean, deviation) of its channels over natural pictures, as the network learned them in
            training; empty for a network that was trained without batch normalization.

    Example:
        >>> import jax.numpy as jnp
        >>> from diffprog.models import load
        >>> net = load("squeezenet")
        >>> net(jnp.zeros((2, 64, 64, 3))).shape
        (2, 1000)
        >>> net.label(net.class_index("chameleon"))
        'African chameleon, Chamaeleo chamaeleon'
    """

    name: str
    title: str
    input_size: int
    min_size: int
    labels: tuple[str, ...] = field(repr=False)
    apply: Callable[[Params, jax.Array], jax.Array] = field(repr=False)
    params: Params = field(repr=False)
    statistics: Statistics = field(repr=False, default_factory=dict)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Logits of pictures.

        Args:
            images: float32[B, H, W, 3], RGB in [0, 1], H and W at least `min_size`.

        Returns:
            float32[B, classes].

        Raises:
            InvalidInput: the pictures have another rank, channels, dtype, or are too small.
        """
        return self.apply(self.params, images)

    def class_index(self, name: str | SupportsIndex) -> int:
        """The number of the class meant by a unique part of its name, in any case, or by its number.

        Raises:
            InvalidInput: no class fits (the nearest are offered) or several do (they are listed).
        """
        return names_of_classes.class_index(self.labels, name)

    def logit(self, name: str | SupportsIndex) -> Objective:
        """The score of one class, as an objective to draw.

        Raises:
            InvalidInput: no class fits, or several do.
        """
        return logit(self.class_index(name))

    def label(self, index: SupportsIndex) -> str:
        """All names of class `index`.

        Raises:
            InvalidInput: there is no such class.
        """
        return self.labels[names_of_classes.class_index(self.labels, index)]


def check_images(images: jax.Array, min_size: int, title: str) -> jax.Array:
    """Return `images` as an array, or say what about them `title` cannot use.

    Raises:
        InvalidInput: not float32[B, H, W, 3] with H and W of at least `min_size`.
    """
    images = jnp.asarray(images)
    expected = f"pictures as float32[B, H, W, 3], RGB in [0, 1], which {title} needs"
    if images.ndim != 4 or images.shape[-1] != 3:
        raise InvalidInput(f"images of shape {images.shape}", expected, _reshaping(images.shape))
    if images.dtype != jnp.float32:
        integers = jnp.issubdtype(images.dtype, jnp.integer)
        remedy = "images.astype('float32') / 255" if integers else "images.astype('float32')"
        raise InvalidInput(f"images of dtype {images.dtype}", expected, remedy)
    if min(images.shape[1:3]) < min_size:
        height, width = images.shape[1:3]
        smallest = f"at least {min_size} x {min_size}, below which {title} has nothing left to look at"
        raise InvalidInput(f"pictures of {height} x {width}", smallest, "larger pictures")
    return images


def _reshaping(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[-1] == 3:
        return "images[None] for a single picture"
    if len(shape) == 4 and shape[1] == 3:
        return "images.transpose(0, 2, 3, 1), because the channels come last here"
    if len(shape) == 4 and shape[-1] == 4:
        return "images[..., :3] to leave out the opacity"
    return (
        "images[..., None].repeat(3, -1) for grey pictures [B, H, W]" if len(shape) == 3 else "reshaping them"
    )
