"""Checkpoints: a killed run goes on from its last one, bit for bit, and a checkpoint of another problem is refused.

A file holds the whole state and the history as safetensors, and a fingerprint of the problem: the compiled step's
program (so the cost, the method and the rules of stopping), the start, the key and the data. It takes its name when it
is complete, so it is whole or not there. Nothing in it is run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from diffprog.errors import BadFile, InvalidInput
from diffprog.optimize.method import PyTree
from diffprog.optimize.saved import save_arrays
from diffprog.optimize.step import State

FORM = "diffprog run 1"


@dataclass(frozen=True)
class Checkpoint:
    """Where to keep a run, and how often.

    Attributes:
      path: the file. If it exists, the run goes on from it.
      every: steps between two writings; a run also writes when it ends.

    Example:
      >>> import tempfile, jax.numpy as jnp
      >>> from diffprog.optimize import momentum, optimize
      >>> method, cost = momentum(0.1), lambda w: (w - 3.0) ** 2
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     kept = Checkpoint(folder + "/run.safetensors")
      ...     half = optimize(cost, 0.0, method, steps=5, checkpoint=kept)
      ...     whole = optimize(cost, 0.0, method, steps=10, checkpoint=kept)  # takes five more
      >>> bool(whole.value == optimize(cost, 0.0, method, steps=10).value)
      True
    """

    path: str | os.PathLike[str]
    every: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise InvalidInput(
                f"Checkpoint(every={self.every!r})", "a whole number of steps, 1 or more", "every=100"
            )


def fingerprint(steps: Sequence[Any], state: State, args: tuple[Any, ...]) -> str:
    """What makes a problem this one: programs, start, key and data."""
    digest = hashlib.sha256(FORM.encode())
    for step in steps:
        digest.update(step.lower(state, *args).as_text().encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path((state, args)):
        array = _plain(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def write(path: Path, mark: str, state: State, rows: Sequence[PyTree]) -> None:
    """Keep a state and its reports, whole or not at all.

    Raises:
      Unreachable: the file cannot be written.
    """
    arrays = {f"state/{i}": _plain(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *rows) if rows else ()
    arrays |= {f"history/{i}": leaf for i, leaf in enumerate(jax.tree.leaves(stacked))}
    about = {"form": FORM, "problem": mark, "rows": json.dumps(len(rows)), "jax": jax.__version__}
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # ascontiguousarray gives a scalar an axis; its own shape comes back with the state's.
    save_arrays(path, kept, about)


def read(path: Path, mark: str, state: State, report: PyTree) -> tuple[State, list[PyTree]]:
    """The state and the reports kept in a file.

    Args:
      path: the file.
      mark: the fingerprint of the problem at hand.
      state: a state of it, for the structure.
      report: what is kept of every step, or its shapes, for the structure.

    Raises:
      BadFile: not a checkpoint, a damaged one, or one of another problem.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise _refused(path, f"cannot be read: {error}") from error
    if about.get("form") != FORM:
        raise _refused(path, "is not a checkpoint of an optimization")
    if about.get("problem") != mark:
        of = about.get("jax")
        other = f", written under JAX {of}" if of != jax.__version__ else ""
        raise _refused(path, f"is of another problem{other}: another cost, method, rule, start, key or data")
    try:
        rows = int(json.loads(about["rows"]))
        kept = _filled(state, arrays, "state")
        table = _filled(report, arrays, "history", rows) if rows else ()
        return kept, [jax.tree.map(lambda leaf, i=i: leaf[i], table) for i in range(rows)]
    except (KeyError, ValueError) as error:
        raise _refused(path, f"is damaged: {error}") from error


def _filled(like: PyTree, arrays: dict[str, np.ndarray], name: str, rows: int | None = None) -> PyTree:
    leaves = enumerate(jax.tree.leaves(like))
    found = [_like(leaf, arrays[f"{name}/{i}"], rows) for i, leaf in leaves]
    return jax.tree.unflatten(jax.tree.structure(like), found)


def _like(leaf: Any, array: np.ndarray, rows: int | None) -> Any:
    if rows is not None:
        return array.reshape(rows, *leaf.shape)
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        plain = array.reshape(jax.random.key_data(leaf).shape)
        return jax.random.wrap_key_data(jnp.asarray(plain), impl=jax.random.key_impl(leaf))
    return jnp.asarray(array.reshape(leaf.shape), dtype=leaf.dtype)


def _plain(leaf: Any) -> np.ndarray:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _refused(path: Path, what: str) -> BadFile:
    return BadFile(
        f"{path} {what}",
        "the checkpoint of this very problem, which the run then goes on from",
        "another path for this run, or remove the file to begin anew",
    )
