"""From a weight file to a generator, without torch: its family, its sizes, and that it is complete."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from diffprog import weights
from diffprog.models.fitting import as_float32
from diffprog.models.gans.biggan.network import KIND as BIGGAN
from diffprog.models.gans.fitting import Kind, check_fit, incomplete, stranger
from diffprog.models.gans.stylegan2.network import KIND as STYLEGAN2
from diffprog.models.gans.vqgan.network import KIND as VQGAN
from diffprog.models.layouts import Tensors, by_name

KINDS: tuple[Kind, ...] = (BIGGAN, VQGAN, STYLEGAN2)
# In which part of a training program's checkpoint the generator is; the copy whose weights were averaged comes first.
CONTAINERS = ("g_ema/", "G_ema/", "G_ema.", "generator_ema/", "state_dict/", "model/")
BESIDE = "latent_avg"  # which rosinality's program keeps beside its generators


def load(
    path: str | os.PathLike[str], kind: str | None = None, *, architecture: str | Any | None = None
) -> Any:
    """Load a published generator from a weight file.

    Args:
        path: safetensors, or what `torch.save` writes, now or before 2020; nothing in it is run.
        kind: one of `names()` that it has to be; None: recognized.
        architecture: the name of a published network of that kind, or a description of your own, that the weights
            must fit; None: recognized from the shapes.

    Returns:
        The network of its kind: a `BigGAN`, a `VQGAN` or a `StyleGAN2`.

    Raises:
        InvalidInput: an unknown kind or architecture.
        BadFile: weights that are missing, surplus, of other shapes or of another network, damaged or hostile.
        Unreachable: no such file.
    """
    wanted = None if kind is None else kind_of(kind)
    raw = unwrapped(weights.read(path))
    found = wanted or next((one for one in KINDS if one.claims(raw)), None)
    if found is None or not found.claims(raw):
        raise stranger(wanted, KINDS, raw, str(path))
    tensors, names = found.published(raw)
    got = found.shapes(tensors)

    def shown(name: str) -> str:
        return names.get(name, name)

    wanted_sizes = architecture
    if isinstance(architecture, str):
        wanted_sizes = by_name("the architecture", architecture, found.known)
    sizes = found.recognize(got) if wanted_sizes is None else wanted_sizes
    if sizes is None:
        raise incomplete(found, got, str(path), shown)
    check_fit(found, sizes, got, str(path), shown)
    own = {name: tensor for name, tensor in tensors.items() if name in got}
    return found.build(sizes, as_float32(own, str(path), shown))


def names() -> tuple[str, ...]:
    """The kinds of generators that `load` reads."""
    return tuple(kind.name for kind in KINDS)


def kind_of(name: str) -> Kind:
    """A kind by its name.

    Raises:
        InvalidInput: there is none; the nearest is offered.
    """
    return by_name("the kind of generator", name, {kind.name: kind for kind in KINDS}, "kind=")


def unwrapped(tensors: Tensors) -> dict[str, np.ndarray]:
    """Tensors under the names that the published programs give them: dots between parts, no wrapper around.

    Of a training program's checkpoint, which holds other networks and the optimizer's memory too, the generator alone.

    Example:
        >>> list(unwrapped({"g/conv1.bias": 0, "g_ema/conv1.bias": 1, "latent_avg": 2}).items())
        [('conv1.bias', 1), ('latent_avg', 2)]
    """
    container = next((one for one in CONTAINERS if any(name.startswith(one) for name in tensors)), "")
    own = {name: t for name, t in tensors.items() if name.startswith(container) or name == BESIDE}
    return {_plain(name.removeprefix(container)): tensor for name, tensor in own.items()}


def _plain(name: str) -> str:
    return name.removeprefix("module.").replace("/", ".")
