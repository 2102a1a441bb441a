"""A CLIP ready to be used: two towers that put pictures and texts into one space, and a tokenizer.

Each tower is a plain function that carries its parameters. The image tower is a network like any other here: it can be
traced, tapped, and its units drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog import rules
from diffprog.errors import InvalidInput
from diffprog.graph.objectives.naturalness import Statistics
from diffprog.models.clip.architecture import Architecture
from diffprog.models.clip.tokenizer import Tokenizer
from diffprog.models.network import Params, check_images


@dataclass(frozen=True, eq=False)
class ImageTower:
    """Call it with pictures float32[B, H, W, 3], RGB in [0, 1], to get features float32[B, embedding].

    Pictures of another size than `input_size` are resized bicubically by their shorter side, and the middle is used,
    inside, as CLIP's own programs do before. Normalizing happens inside too.

    Attributes:
        name: of the architecture.
        title: its name for people.
        input_size: height and width that pictures are brought to.
        embedding: length of the features.
        apply: `(params, images) -> features`, pure.
        params: the parameters, nested by layer.
        statistics: layer -> (mean, deviation) of its channels over natural pictures; a ResNet's only.
    """

    name: str
    title: str
    input_size: int
    embedding: int
    apply: Callable[[Params, jax.Array], jax.Array] = field(repr=False)
    params: Params = field(repr=False)
    statistics: Statistics = field(repr=False, default_factory=dict)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Features of pictures, not normalized.

        Raises:
            InvalidInput: not float32[B, H, W, 3].
        """
        return self.apply(self.params, check_images(images, 1, self.title))


@dataclass(frozen=True, eq=False)
class TextTower:
    """Call it with tokens int[B, T] to get features float32[B, embedding].

    Attributes:
        name: of the architecture.
        title: its name for people.
        context: the most tokens, start and end of text included.
        vocabulary: how many tokens there are; the last one ends a text.
        embedding: length of the features.
        apply: `(params, tokens) -> features`, pure.
        params: the parameters, nested by layer.
    """

    name: str
    title: str
    context: int
    vocabulary: int
    embedding: int
    apply: Callable[[Params, jax.Array], jax.Array] = field(repr=False)
    params: Params = field(repr=False)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Features of texts, not normalized, read at the end of each text.

        Raises:
            InvalidInput: not int[B, T] with T at most `context`, a token that is not in the vocabulary, or a text
                without an end. Inside a compiled function the numbers themselves are not looked at.
        """
        return self.apply(self.params, self._checked(tokens))

    def _checked(self, tokens: Any) -> jax.Array:
        tokens = jnp.asarray(tokens)
        last, remedy = self.vocabulary - 1, "clip.tokenize(prompts)"
        whole = jnp.issubdtype(tokens.dtype, jnp.integer)
        if tokens.ndim != 2 or not whole or not 0 < tokens.shape[1] <= self.context:
            got = f"tokens of shape {tokens.shape} and dtype {tokens.dtype}"
            raise InvalidInput(got, f"integers [texts, tokens], at most {self.context} tokens", remedy)
        if isinstance(tokens, jax.core.Tracer):
            return tokens
        numbers = np.asarray(tokens)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() <= last:
            got = f"tokens from {numbers.min()} to {numbers.max()}"
            raise InvalidInput(got, f"numbers from 0 to {last}: the vocabulary of {self.title}", remedy)
        if not (numbers == last).any(axis=1).all():
            expected = f"the token {last} in every row, where the text's features are read"
            raise InvalidInput("a text without its end", expected, remedy)
        return tokens


@dataclass(frozen=True, eq=False)
class Clip:
    """Pictures and texts in one space, where what belongs together is near.

    Attributes:
        architecture: what it consists of, in numbers.
        image_tower: pictures -> features; a network whose units can be drawn.
        text_tower: tokens -> features.
        logit_scale: natural logarithm of the factor that turns cosines into logits, as the published files keep it.
        make_tokenizer: gives the tokenizer when it is first needed.
    """

    architecture: Architecture
    image_tower: ImageTower = field(repr=False)
    text_tower: TextTower = field(repr=False)
    logit_scale: float
    make_tokenizer: Callable[[], Tokenizer] = field(repr=False)

    @property
    def name(self) -> str:
        """For people: "CLIP ViT-B/32"."""
        return f"CLIP {self.architecture.name}"

    @property
    def input_size(self) -> int:
        """Height and width that pictures are brought to."""
        return self.architecture.vision.image_size

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """What turns prompts into tokens.

        Raises:
            BadFile: a vocabulary that does not belong to these weights.
            Unreachable: the vocabulary is not on this machine and cannot be fetched.
        """
        return self.make_tokenizer()

    def tokenize(self, prompts: str | Sequence[str], *, truncate: bool = False) -> np.ndarray:
        """Tokens of prompts, int32[prompts, context].

        Args:
            prompts: one, or several.
            truncate: cut a prompt that is too long, instead of refusing it.

        Raises:
            InvalidInput: no prompt, an empty one, or one that is too long.
        """
        return self.tokenizer(prompts, truncate=truncate)

    def image_features(self, images: jax.Array) -> jax.Array:
        """Features float32[B, embedding] of pictures float32[B, H, W, 3]; not normalized."""
        return self.image_tower(images)

    def text_features(self, tokens: jax.Array) -> jax.Array:
        """Features float32[B, embedding] of tokens int[B, T]; not normalized."""
        return self.text_tower(tokens)

    def similarity(self, images: jax.Array, texts: str | Sequence[str] | jax.Array) -> jax.Array:
        """Cosine of every picture with every text.

        Args:
            images: float32[B, H, W, 3], RGB in [0, 1].
            texts: prompts, or their tokens int[N, T].

        Returns:
            float32[B, N], in [-1, 1].
        """
        tokens = self.tokenize(texts) if _are_prompts(texts) else texts  # type: ignore[arg-type]
        pictures = rules.l2_normalize(self.image_features(images))
        words = rules.l2_normalize(self.text_features(tokens))  # type: ignore[arg-type]
        return pictures @ words.T  # (B, E) (E, N) -> (B, N)

    def probabilities(self, images: jax.Array, texts: str | Sequence[str] | jax.Array) -> jax.Array:
        """How likely each text is the picture's, if one of them is: softmax of the scaled cosines, float32[B, N]."""
        return jax.nn.softmax(jnp.exp(self.logit_scale) * self.similarity(images, texts), axis=-1)


def _are_prompts(texts: object) -> bool:
    """Whether these are texts, and not their tokens."""
    listed = isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)
    return isinstance(texts, str) or listed
