"""Put the tensors of a file into the places of a module, and say which does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from diffprog.errors import BadFile
from diffprog.models.differences import Shown
from diffprog.models.layouts import Tensors

FETCH_AGAIN = "fetching the file again"  # of weights that the user has
REMEDY = "fetching them again: remove them from the cache folder; or, if embedded, install diffprog again"


def fitted(
    module: nn.Module, example: Any, tensors: Tensors, title: str, remedy: str = REMEDY
) -> dict[str, Any]:
    """The parameters of a module, nested by layer.

    Args:
        module: where they belong.
        example: its input, or the shape of it (`jax.ShapeDtypeStruct`).
        tensors: name of the parameter -> float32 array, for example "fire2/squeeze/kernel".
        title: the network's name, for the message.
        remedy: what to try where they do not fit.

    Raises:
        BadFile: a tensor is missing, of another shape or dtype, not finite, or has no place in the module.
    """
    inputs = example if isinstance(example, tuple) else (example,)
    shapes = flatten_dict(jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"])
    paths = {"/".join(path): path for path in shapes}
    wrong = [name for name, path in paths.items() if not fits(tensors.get(name), shapes[path].shape)]
    wrong += [name for name in tensors if name not in paths]
    if wrong:
        raise BadFile(
            f"weights in which {len(wrong)} tensors do not fit {title}, the first being {wrong[0]}",
            f"the {len(paths)} tensors of {title}: float32, finite, each of its shape, and no others",
            remedy,
        )
    return nested(tensors, paths)


def nested(tensors: Tensors, paths: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Tensors as JAX's arrays, nested by layer; all at once, because one `jnp.asarray` a shape is a program a shape.

    Args:
        tensors: by name.
        paths: from a name to where it belongs, layer within layer.
    """
    found = {path: tensors[name] for name, path in paths.items()}
    with jax.ensure_compile_time_eval():  # also where a network is first loaded while a function is traced
        return unflatten_dict(jax.device_put(found, may_alias=False))


def fits(tensor: np.ndarray | None, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is float32, finite, and of this shape."""
    if tensor is None or tensor.shape != shape or tensor.dtype != np.float32:
        return False
    return bool(np.isfinite(tensor).all())


def as_float32(tensors: Tensors, path: str, shown: Shown) -> dict[str, np.ndarray]:
    """Tensors in float32, whatever precision they were kept in.

    Args:
        tensors: by published name.
        path: of the file, for the message.
        shown: from a published name to that of the file.

    Raises:
        BadFile: numbers that are not real, or not finite.
    """
    wide = {}
    for name, tensor in tensors.items():
        real = tensor.dtype.kind == "f" or "float" in str(tensor.dtype)  # bfloat16 is of another kind
        wide[name] = tensor.astype(np.float32, copy=False) if real else tensor
        if not real or not np.isfinite(wide[name]).all():
            raise BadFile(
                f"{path}: the tensor {shown(name)} of {tensor.dtype}" + (", not all finite" if real else ""),
                "finite real numbers",
                FETCH_AGAIN,
            )
    return wide
