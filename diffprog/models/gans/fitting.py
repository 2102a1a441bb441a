"""Whether a file's tensors are those of a published generator, and what to say where they are not.

Names in messages are those of the user's file. What a file fits instead is looked for among all the generators here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffprog.errors import BadFile
from diffprog.models import differences
from diffprog.models.differences import MOST_SHOWN, Shown, listed, looks_like
from diffprog.models.layouts import Shapes, Tensors

OTHERS = {  # a part of a name that only this network has -> what it is
    "G.shared": "BigGAN of another program (ajbrock's), which is not read here",
    "blocks.0.0.conv1": "BigGAN of another program (ajbrock's), which is not read here",
    "main.0.weight": "a DCGAN: diffprog.models.load('dcgan-faces')",
    "synthesis.input": "StyleGAN3, which is not read here",
    "visual.": "CLIP, which scores: diffprog.models.clip.load(path)",
    "vision_model.": "CLIP, which scores: diffprog.models.clip.load(path)",
    "embeddings.word_embeddings": "a BERT",
    "unet": "a diffusion model",
    "diffusion_model.": "a diffusion model",
}


@dataclass(frozen=True, eq=False)
class Kind:
    """A family of published generators, and the layout in which their tensors are published.

    Attributes:
        name: "biggan".
        title: "BigGAN-deep".
        marks: names of tensors that only this family has, one of which a file must hold.
        known: the published networks, by name.
        recognize: shapes -> an architecture, or None.
        expected: an architecture -> name and shape of every tensor.
        build: an architecture and its tensors in float32 -> the network.
        ignored: whether a tensor of a file is no part of the generator.
        optional: whether the network does without a tensor.
        published: a file's tensors -> those under published names, and from these names to the file's.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    known: Mapping[str, Any]
    recognize: Callable[[Shapes], Any] = field(repr=False)
    expected: Callable[[Any], dict[str, tuple[int, ...]]] = field(repr=False)
    build: Callable[[Any, Tensors], Any] = field(repr=False)
    ignored: Callable[[str], bool] = field(repr=False, default=lambda name: False)
    optional: Callable[[str], bool] = field(repr=False, default=lambda name: False)
    published: Callable[[Tensors], tuple[dict[str, np.ndarray], dict[str, str]]] = field(
        repr=False, default=lambda tensors: (dict(tensors), {})
    )

    def claims(self, tensors: Tensors) -> bool:
        """Whether a file is of this family, complete or not."""
        return any(mark in tensors for mark in self.marks)

    def shapes(self, tensors: Tensors) -> Shapes:
        """The shapes of the tensors that are parts of the generator."""
        return {name: tensor.shape for name, tensor in tensors.items() if not self.ignored(name)}

    def wanted(self, architecture: Any, got: Shapes) -> Shapes:
        """Name and shape of every tensor that an architecture cannot do without, or that a file has as well."""
        every = self.expected(architecture)
        return {name: shape for name, shape in every.items() if name in got or not self.optional(name)}

    def layouts(self, got: Shapes) -> dict[str, Shapes]:
        """The tensors of every published network of the family, by its name; see `wanted`."""
        return {name: self.wanted(known, got) for name, known in self.known.items()}


def check_fit(kind: Kind, architecture: Any, got: Shapes, path: str, shown: Shown) -> None:
    """Refuse tensors that are not exactly those of an architecture; see `differences.check_fit`.

    Raises:
        BadFile: with the keys that differ, and the published architecture that they fit or come nearest to.
    """
    title, wanted = f"{kind.title} {architecture.name}", kind.wanted(architecture, got)
    differences.check_fit(got, wanted, title, path, shown, lambda: kind.layouts(got))


def incomplete(kind: Kind, got: Shapes, path: str, shown: Shown) -> BadFile:
    """The refusal of a file of this family from which no sizes can be read."""
    return BadFile(
        f"{path}: weights of a {kind.title} that is not complete, or whose layers do not follow each other",
        "all tensors of the generator, of sizes that fit together",
        differences.advice(got, kind.layouts(got), shown),
    )


def stranger(kind: Kind | None, kinds: Sequence[Kind], tensors: Tensors, path: str) -> BadFile:
    """The refusal of a file of another family than the wanted one, or of none that is known."""
    names = listed(list(tensors)[:MOST_SHOWN], len(tensors)) or "none"
    wanted = [kind] if kind else list(kinds)
    titles = " or ".join(one.title for one in wanted)
    said = f"{path}: weights of no {titles}: {len(tensors)} tensors ({names})"
    if kind:
        first = next(iter(kind.known.values()))
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        needed = kind.wanted(first, shapes)
        missing = differences.compare(shapes, needed).said(shapes, needed, str)
        said = f"{said}; next to {first.name}: {missing}"
    marks = " or ".join(mark for one in wanted for mark in one.marks)
    return BadFile(said, f"a file with a tensor {marks}", _what_it_is(kinds, tensors))


def _what_it_is(kinds: Sequence[Kind], tensors: Tensors) -> str:
    for kind in kinds:
        if kind.claims(tensors):
            published, _ = kind.published(tensors)
            shapes = kind.shapes(published)
            found = kind.recognize(shapes)
            fits = found and not differences.compare(shapes, kind.wanted(found, shapes)).total
            what = f"they fit {kind.title} {found.name}" if fits else f"they look like a {kind.title}"
            return f"kind={kind.name!r} (--generator {kind.name}): {what}"
    other = looks_like(tensors, OTHERS)
    return f"another file: these look like {other}" if other else "another file, or the whole one"
