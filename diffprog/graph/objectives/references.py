"""References: likeness to the activations of another picture, or to activations of one's own choosing.

With a the activations of the picture and r those of the reference, each a mean over the layers that are compared:

    caricature   <a, r> / |r|^2  max(0.1, cos(a, r))^power       1 for the reference itself, more for an exaggeration
    target       - |a - r|^2 / |r|^2                             0 for the reference itself, -1 for nothing at all
    style        - |G(a) - G(r)|^2 / |G(r)|^2,  G = A^T A / positions

Dividing by the reference's length makes all layers count alike, and every score readable. Caricature and target
compare position by position: they are `placed`, and want transforms that leave things about where they are.

Source: Lucid's `caricature` (Olah et al. 2018, "Differentiable Image Parameterizations"); Mahendran and Vedaldi 2015,
"Understanding Deep Image Representations by Inverting Them"; Gatys et al. 2015, "A Neural Algorithm of Artistic
Style".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.graph.objectives.directions import checked_power
from diffprog.graph.objectives.expression import Activations, Objective, Shapes
from diffprog.graph.objectives.reading import Model, activations, as_names
from diffprog.graph.objectives.vectors import check_shape, floating, floored, gram
from diffprog.rules import cosine_similarity

SIZES = (
    "a reference of the same size: a photograph as large as the drawing, and transforms that keep the size"
)


@dataclass(frozen=True, eq=False)
class _Compared(Objective):
    names: tuple[str, ...] = field(metadata={"static": True})
    references: tuple[Any, ...]  # one a layer

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(self.names)

    def compare(self, values: Array, reference: Array) -> Array:
        """The score of one layer."""
        raise NotImplementedError

    def __call__(self, activations: Activations) -> Array:
        scores = [
            self.compare(activations[name], jnp.asarray(reference, activations[name].dtype))
            for name, reference in zip(self.names, self.references, strict=True)
        ]
        return sum(scores[1:], scores[0]) / len(scores)


@dataclass(frozen=True, eq=False)
class _Placed(_Compared):
    @property
    def placed(self) -> bool:
        return True

    def check(self, shapes: Shapes) -> None:
        for name, reference in zip(self.names, self.references, strict=True):
            check_shape("a reference", jnp.shape(reference), shapes[name], name, SIZES)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Caricature(_Placed):
    """How far the picture goes in the reference's direction, whole layers at once."""

    power: Any

    def compare(self, values: Array, reference: Array) -> Array:
        flat, aim = values.ravel(), reference.ravel()
        return floored(flat @ aim / (aim @ aim), cosine_similarity(flat, aim), self.power)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Target(_Placed):
    """Minus the square distance from the reference, in units of the reference's own length."""

    def compare(self, values: Array, reference: Array) -> Array:
        return -jnp.sum((values - reference) ** 2) / jnp.sum(reference**2)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Style(_Compared):
    """Minus the square distance between the Gram matrices, in units of the reference's own; references are [C, C]."""

    def compare(self, values: Array, reference: Array) -> Array:
        return -jnp.sum((gram(values) - reference) ** 2) / jnp.sum(reference**2)

    def check(self, shapes: Shapes) -> None:
        for name, reference in zip(self.names, self.references, strict=True):
            channels = shapes[name][-1]
            expected, remedy = (channels, channels), "the reference's activations in the same layer"
            check_shape("a Gram matrix", jnp.shape(reference), expected, name, remedy)


def caricature(model: Model, image: Any, layers: str | Sequence[str], power: float = 1.0) -> Objective:
    """What the network sees in a picture, exaggerated.

    Args:
      model: any function of pictures [B, H, W, 3]; the one that will be drawn from.
      image: [H, W, 3], RGB in [0, 1], as large as the drawing will be.
      layers: one or several.
      power: of the cosine; 0 lets the picture grow in other directions as well.

    Raises:
      InvalidInput: as `activations`; a layer in which the picture excites nothing; a negative power.
    """
    found = activations(model, image, layers)
    return Caricature(tuple(found), _references(found), checked_power(power))


def feature_inversion(model: Model, image: Any, layers: str | Sequence[str]) -> Objective:
    """What a layer keeps of a picture: another one with the same activations; arguments as `caricature`."""
    return target(activations(model, image, layers))


def target(references: Mapping[str, Any]) -> Objective:
    """Activations to be reached: layer -> array of the layer's shape, without the batch axis.

    Raises:
      InvalidInput: no layers, or an array that is empty, not finite or 0.

    Example:
      >>> import jax.numpy as jnp
      >>> target({"dense": [3.0, 4.0]})({"dense": jnp.zeros(2)})
      Array(-1., dtype=float32)
    """
    as_names(tuple(references))
    return Target(tuple(references), _references(references))


def style(model: Model, image: Any, layers: str | Sequence[str]) -> Objective:
    """The textures of a picture, wherever they are; it may be of another size. Arguments as `caricature`."""
    found = activations(model, image, layers)
    grams = {name: gram(jnp.asarray(values)) for name, values in found.items()}
    return Style(tuple(grams), _references(grams))


def accentuation(
    objective: Objective, model: Model, image: Any, layers: str | Sequence[str], weight: float = 1.0
) -> Objective:
    """An objective for which a picture is changed no more than needed, as a latent layer sees it.

    Args:
      objective: what to bring out, such as `net.logit("tabby")`.
      model: the network.
      image: [H, W, 3], the photograph to start from, as large as the drawing.
      layers: where the picture shall stay what it is.
      weight: how much that counts: an objective worth 1 for every |a - r|^2 = |r|^2.

    Source: Hamblin et al. 2024, "Feature Accentuation".
    """
    return objective + weight * feature_inversion(model, image, layers)


def _references(found: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    return tuple(floating(f"a reference for {name}", values) for name, values in found.items())
