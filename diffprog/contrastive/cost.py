"""The cost of contrastive training, on one device or spread over several.

    a = image tower(views of the pictures) / |.|,    b = text tower(names) / |.|,    J = loss(a, b, e^t)

Over several devices each computes both towers on its share of the batch and its rows of the similarity matrix, and no
others; the loss is that of the whole batch, and so are the gradients of the parameters, which every device has whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from diffprog import rules
from diffprog.contrastive.seen import seen
from diffprog.errors import InvalidInput
from diffprog.models.clip import Architecture
from diffprog.models.clip.building import image_tower_module, text_tower_module

AXIS = "devices"
LARGEST_SCALE = math.log(100.0)  # as CLIP limits it
# Logarithm of the scale and, of the sigmoid loss, the bias to begin with.
START = {"info_nce": {"scale": math.log(1 / 0.07)}, "sigmoid": {"scale": math.log(10.0), "bias": -10.0}}
LOSSES = tuple(START)
PyTree = Any


def initial(architecture: Architecture, loss: str, key: Array) -> PyTree:
    """Parameters to begin with: {"image", "text", "scale"}, and {"bias"} for the sigmoid loss."""
    image, text = image_tower_module(architecture), text_tower_module(architecture)
    size = architecture.vision.image_size

    @jax.jit  # one program, and not one for every layer
    def towers(key: Array) -> PyTree:
        of_pictures, of_texts = jax.random.split(key)
        return {
            "image": image.init(of_pictures, jnp.zeros((1, size, size, 3)))["params"],
            "text": text.init(of_texts, jnp.zeros((1, architecture.text.context), jnp.int32))["params"],
        }

    return towers(key) | {name: jnp.float32(value) for name, value in START[loss].items()}


def embeddings(architecture: Architecture) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """`(params, pictures float32 [B, S, S, 3])` and `(params, tokens [B, T])` to vectors [B, D] of length one."""
    image, text = image_tower_module(architecture), text_tower_module(architecture)

    def of_pictures(params: PyTree, pictures: Array) -> Array:
        return rules.l2_normalize(cast(Array, image.apply({"params": params["image"]}, pictures)))

    def of_texts(params: PyTree, tokens: Array) -> Array:
        return rules.l2_normalize(cast(Array, text.apply({"params": params["text"]}, tokens)))

    return of_pictures, of_texts


def contrastive_cost(
    architecture: Architecture, loss: str = "info_nce", devices: Sequence[Any] | None = None
) -> Callable[[PyTree, Array, Mapping[str, Array]], Array]:
    """The cost `(params, key, batch) -> scalar` for `dp.train(keyed=True)`.

    Args:
        architecture: of the two towers.
        loss: "info_nce" or "sigmoid".
        devices: to spread every batch over; None or one of them: nothing is spread.

    Returns:
        The cost of a batch {"pictures": uint8 [B, V, S, S, 3], "tokens": int32 [B, V, T], "mirrors": bool [B]}, of
        which it sees one variant of each; B must be a multiple of the number of devices.

    Raises:
        InvalidInput: an unknown loss; when called, a batch that the devices do not divide.
    """
    if loss not in START:
        raise InvalidInput(f"the loss {loss!r}", "one of " + ", ".join(START), "loss='info_nce'")
    several = devices is not None and len(devices) > 1
    of_pictures, of_texts = embeddings(architecture)

    def whole(params: PyTree, pictures: Array, tokens: Array, axis_name: str | None = None) -> Array:
        a, b = of_pictures(params, pictures), of_texts(params, tokens)
        scale = jnp.exp(jnp.minimum(params["scale"], LARGEST_SCALE))
        if loss == "sigmoid":
            return rules.sigmoid_contrastive(a, b, scale, params["bias"], axis_name=axis_name)
        return rules.info_nce(a, b, scale, axis_name=axis_name)

    over = whole
    if devices is not None and several:
        mesh, rows = Mesh(list(devices), (AXIS,)), P(AXIS)
        part = partial(whole, axis_name=AXIS)
        over = jax.shard_map(part, mesh=mesh, in_specs=(P(), rows, rows), out_specs=P())

    def cost(params: PyTree, key: Array, batch: Mapping[str, Array]) -> Array:
        count = len(batch["pictures"])
        if devices is not None and count % len(devices):
            raise InvalidInput(
                f"a batch of {count} for {len(devices)} devices",
                "as many examples on every device",
                f"batch={max(1, count // len(devices)) * len(devices)}",
            )
        pictures, tokens = drawn(key, batch)
        return over(params, pictures, tokens)

    return cost


def drawn(key: Array, batch: Mapping[str, Array]) -> tuple[Array, Array]:
    """One variant of every concept, as it is seen: pictures float32 [B, S, S, 3] and tokens [B, T]."""
    which, how = jax.random.split(key)
    count, variants = batch["tokens"].shape[:2]
    at = jax.random.randint(which, (count,), 0, variants)
    rows = jnp.arange(count)
    pictures, tokens = (jnp.asarray(batch[name])[rows, at] for name in ("pictures", "tokens"))
    return jax.vmap(seen)(pictures, batch["mirrors"], jax.random.split(how, count)), tokens
