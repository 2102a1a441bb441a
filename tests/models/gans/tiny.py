"""Small generators with seeded weights, under published names; without torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from diffprog import weights
from diffprog.models.gans.biggan import layout as biggan
from diffprog.models.gans.loading import kind_of
from diffprog.models.gans.stylegan2 import layout as stylegan2
from diffprog.models.gans.vqgan import layout as vqgan

BIGGAN = biggan.Architecture(
    "of 8 x 8 pixels, 2 blocks, 8 wide",
    (biggan.Block(16, 16, False), biggan.Block(16, 8, True)),
    attention=1,
    latent=6,
    classes=5,
)
VQGAN = vqgan.Architecture("f2-10, 32-64 wide", 10, 6, 8, (32, 64), blocks=1, attention=(1,))
STYLEGAN2 = stylegan2.Architecture("of 16 x 16 pixels, 6-5-4 wide", (6, 5, 4), latent=7, style=8, mapping=2)
SMALL: dict[str, Any] = {"biggan": BIGGAN, "vqgan": VQGAN, "stylegan2": STYLEGAN2}

# For what does not look at the networks themselves: as few layers as there can be.
SMALLEST: dict[str, Any] = {
    "biggan": biggan.Architecture(
        "smallest", (biggan.Block(8, 8, False),), attention=0, latent=6, classes=5, rows=3
    ),
    "vqgan": vqgan.Architecture("smallest", 10, 6, 8, (32, 32), blocks=1),
    "stylegan2": stylegan2.Architecture("smallest", (5, 4), latent=7, style=8, mapping=1),
}


def tensors_of(kind: str, sizes: Any = None) -> dict[str, np.ndarray]:
    """Tensors under published names whose activations are about of unit size; of the small networks, or others."""
    draw = np.random.default_rng(0)
    tensors = {n: _drawn(n, s, draw) for n, s in kind_of(kind).expected(sizes or SMALL[kind]).items()}
    for name in [name for name in tensors if name.endswith("weight_u")]:
        matrix = tensors[name.replace("weight_u", "weight_orig")]
        u, _, v = np.linalg.svd(matrix.reshape(len(matrix), -1), full_matrices=False)
        tensors[name], tensors[name.replace("weight_u", "weight_v")] = u[:, 0], v[0]
    return tensors


def _drawn(name: str, shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    x = draw.standard_normal(shape).astype(np.float32)
    if name.endswith("resample_filter"):
        return np.outer(stylegan2.TAPS, stylegan2.TAPS).astype(np.float32) / 64
    if name.endswith("running_vars"):
        return 0.5 + np.abs(x)
    if name.endswith("affine.bias") or ("norm" in name and name.endswith("weight")):
        return 1 + 0.3 * x
    if name.startswith("mapping.fc"):
        return 100 * x * (0.3 if name.endswith("bias") else 1)
    if len(shape) == 4 and not name.startswith("synthesis"):
        return x / math.sqrt(math.prod(shape[1:]))
    return 0.3 * x if len(shape) < 2 else x


def saved(folder: Path, kind: str, sizes: Any = None) -> Path:
    """A safetensors file of a small generator, or of another."""
    path = folder / f"{kind}.safetensors"
    weights.save(path, tensors_of(kind, sizes))
    return path
