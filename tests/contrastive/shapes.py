"""Drawings that need no download: dots, squares, ... of every colour, each named by its colour and its shape."""

import itertools

import numpy as np

from diffprog.contrastive.training import Sizes
from diffprog.data import Drawings

COLOURS = {
    "red": (220, 0, 0),
    "green": (0, 160, 0),
    "blue": (0, 0, 220),
    "black": (0, 0, 0),
    "yellow": (230, 200, 0),
    "violet": (160, 0, 200),
}
SIZE = 12
Y, X = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
SHAPES = {
    "dot": Y**2 + X**2 < 5,
    "square": np.maximum(abs(Y), abs(X)) < 5,
    "beam": abs(Y) < 2,
    "pole": abs(X) < 2,
    "frame": np.maximum(abs(Y), abs(X)) > 3,
}
TINY = Sizes(width=32, image_layers=1, text_layers=1, patches=3, embedding=16, context=16)


def drawings() -> Drawings:
    """30 families, each with a pale variant, and one drawing without a name."""
    pictures, codes, names, families = [], [], [], []
    for number, (colour, shape) in enumerate(itertools.product(COLOURS, SHAPES)):
        for pale in (False, True):
            ink = np.array(COLOURS[colour]) + (30 if pale else 0)
            pictures.append(np.where(SHAPES[shape][..., None], ink, 255).clip(0, 255).astype(np.uint8))
            codes.append(f"{number:04X}" + ("-1F3FB" if pale else ""))
            names.append(f"{colour} {shape}" + (", pale" if pale else ""))
            families.append(f"{number:04X}")
    pictures.append(pictures[0])
    groups = ("Objects",) * (len(names) + 1)
    return Drawings(np.stack(pictures), (*codes, "E001"), (*names, ""), groups, (*families, "E001"))
