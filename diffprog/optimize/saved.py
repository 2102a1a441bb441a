"""Pytrees in safetensors files: parameters to keep or to give away, and the state of a run to go on from.

A leaf is called by its path, `convolution/kernel`, so that any reader of safetensors can use the file; reading takes
an example of the structure and gives it back with the file's numbers. A file appears whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jax import Array

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.files import whole

PyTree = Any


def save_tree(path: str | os.PathLike[str], tree: PyTree, metadata: Mapping[str, str] | None = None) -> None:
    """Write a pytree of arrays and PRNG keys as one safetensors file.

    Args:
      path: the file to write or replace; its folder must exist.
      tree: parameters, or the state of an optimizer.
      metadata: text for the file's header.

    Raises:
      InvalidInput: two leaves of one name.
      Unreachable: the file cannot be written; what was there before is still there.

    Example:
      >>> import tempfile, jax.numpy as jnp
      >>> params = {"linear": {"kernel": jnp.ones((2, 3))}}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save_tree(folder + "/w.safetensors", params)
      ...     load_tree(folder + "/w.safetensors", params)["linear"]["kernel"].shape
      (2, 3)
    """
    names = _names(tree)
    arrays = {name: np.array(_plain(leaf)) for name, leaf in zip(names, jax.tree.leaves(tree), strict=True)}
    save_arrays(Path(path), arrays, metadata)


def save_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays as one safetensors file, whole or not at all.

    Raises:
      Unreachable: the file cannot be written; what was there before is still there.
    """
    with whole(path) as part:
        try:
            safetensors.numpy.save_file(arrays, part, metadata=dict(metadata or {}) or None)
        except safetensors.SafetensorError as error:  # how a full disk or a lost folder shows here
            raise OSError(str(error)) from error


def load_tree(path: str | os.PathLike[str], like: PyTree) -> PyTree:
    """The pytree of a file, in the structure of `like`.

    Args:
      path: the file.
      like: a pytree of arrays, or of `jax.ShapeDtypeStruct`, with the names, shapes and dtypes to be found.

    Raises:
      Unreachable: no such file.
      BadFile: not safetensors, or a leaf that is missing, too many, or of another shape or dtype.
    """
    found, _ = read_file(path)
    names, leaves = _names(like), jax.tree.leaves(like)
    if odd := sorted(set(names) ^ found.keys()):
        kind = "lacks" if odd[0] in names else "has"
        raise _refused(path, f"{kind} {odd[0]!r}")
    filled = [_filled(path, name, leaf, found[name]) for name, leaf in zip(names, leaves, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(like), filled)


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All arrays of a file by name, and the text of its header.

    Raises:
      Unreachable: no such file.
      BadFile: not safetensors.
    """
    if not Path(path).exists():
        raise Unreachable(f"{os.fspath(path)} is not there", "a file that was saved before", "another path")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise _refused(path, f"cannot be read: {error}") from error


def _filled(path: Any, name: str, leaf: Any, array: np.ndarray) -> Array:
    if _is_key(leaf):
        data = jax.eval_shape(jax.random.key_data, leaf)
        return jax.random.wrap_key_data(
            jnp.asarray(array.reshape(data.shape)), impl=str(jax.random.key_impl(leaf))
        )
    leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
    if array.shape != leaf.shape or array.dtype != leaf.dtype:
        raise _refused(
            path, f"has {name!r} as {array.dtype}{array.shape} where {leaf.dtype}{tuple(leaf.shape)} belongs"
        )
    return jnp.asarray(array)


def _names(tree: PyTree) -> list[str]:
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    names = [jax.tree_util.keystr(path, simple=True, separator="/") or "value" for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"two leaves named {twice!r}", "a name for each leaf", "keys without slashes")
    return names


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _refused(path: Any, what: str) -> BadFile:
    return BadFile(
        f"{os.fspath(path)} {what}",
        "a safetensors file of the same parameters",
        "the program that saved it, or another file",
    )
