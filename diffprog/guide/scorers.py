"""Scorers: how well a picture does what was asked, as an embedding of each and a similarity between the two.

`read` turns sentences into e_1, once; `look` turns pictures into e_2, at every step and with a gradient; `similarity`
compares them. A classifier, a classifier together with a sentence encoder (`words`, `conse`), and anything with
embeddings of pictures and texts (CLIP, SigLIP) are all of this form. What pictures a network wants to see, and how it
wants them normalized, stays with the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.guide.similarity import Similarity, agreement, cosine, inner
from diffprog.models import Network, load
from diffprog.models.clip import Clip
from diffprog.models.clip import load as load_clip

CLIP_SIZE = 224

Encoder = Callable[[Sequence[str]], Array]


@dataclass(frozen=True, eq=False)
class Scorer:
    """Pictures and sentences to numbers that can be compared.

    Attributes:
      name: for people and manifests.
      size: height and width of the pictures that it sees.
      look: pictures float32 [B, size, size, 3] in [0, 1] -> e_2 [B, D], differentiable.
      read: sentences -> e_1 [P, D].
      similarity: e_2 [..., D], e_1 [..., D] -> [...], greater for more alike.
      see: pictures of a prompt -> e_1 [B, D]; None: as `look`.
    """

    name: str
    size: int
    look: Callable[[Array], Array] = field(repr=False)
    read: Callable[[Sequence[str]], Array] = field(repr=False)
    similarity: Similarity = field(repr=False, default=cosine)
    see: Callable[[Array], Array] | None = field(repr=False, default=None)


def classifier(net: Network | str, probability: bool = True) -> Scorer:
    """The log-probability of the class that the words name; or its logit.

    Args:
      net: a `Network`, or the name of one. The words must name one of its classes ("sunglasses").
      probability: whether the other classes count as well. A logit alone is also raised by making every class likely.

    Example:
      >>> scorer = classifier("squeezenet")
      >>> scorer.read(["sunglasses"]).shape, scorer.size
      ((1, 1000), 224)
    """
    net = load(net) if isinstance(net, str) else net

    def look(images: Array) -> Array:
        logits = net(images)
        return jax.nn.log_softmax(logits) if probability else logits

    def read(sentences: Sequence[str]) -> Array:
        return jax.nn.one_hot(np.array([net.class_index(one) for one in sentences]), len(net.labels))

    # Like a picture is what has its classes: minus the cross-entropy between the two.
    return Scorer(
        f"classifier({net.name})", net.input_size, look, read, inner, lambda x: jax.nn.softmax(net(x))
    )


def conse(
    net: Network | str = "efficientnet-lite0",
    sentences: Encoder | str = "minilm",
    *,
    temperature: float = 1.0,
    top: int | None = None,
    centred: bool = True,
    similarity: Similarity = cosine,
) -> Scorer:
    """Any words, by a classifier and a sentence encoder: e_2 is the mean of the classes' sentences under p(class).

        e_2 = sum_c p(c | x) s(name of c),    p = softmax(logits / temperature),    e_1 = s(words)

    Args:
      net: a classifier, or the name of one.
      sentences: any function of sentences to vectors [P, D], or "minilm".
      temperature: above 1 lets classes speak that the network holds unlikely, and gives a gradient where it is sure.
      top: only the most likely classes count, as in the paper (10); None: all.
      centred: subtract the mean of all classes' sentences from both, since all sentences are somewhat alike.
      similarity: between the two.

    Source:
      Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (2014), equation 4.

    Raises:
      InvalidInput: a temperature that is not positive, a `top` that is not one of the numbers of classes.
    """
    net = load(net) if isinstance(net, str) else net
    encoder: Encoder = load("minilm") if isinstance(sentences, str) else sentences
    if not temperature > 0 or not (top is None or 1 <= top <= len(net.labels)):
        raise InvalidInput(
            f"temperature={temperature}, top={top}",
            f"a temperature above 0, and None or 1 to {len(net.labels)} classes",
            "temperature=1.0, top=None",
        )
    names, mean = _class_sentences(net, encoder)
    middle = mean if centred else jnp.zeros_like(mean)

    def look(images: Array) -> Array:
        logits = net(images) / temperature
        if top is not None:
            least = jax.lax.top_k(logits, top)[0][:, -1:]
            logits = jnp.where(logits >= jax.lax.stop_gradient(least), logits, -jnp.inf)
        return jax.nn.softmax(logits) @ names - middle

    def read(words: Sequence[str]) -> Array:
        return encoder(words) - middle

    return Scorer(f"conse({net.name}, {_called(encoder)})", net.input_size, look, read, similarity)


def words(
    net: Network | str = "efficientnet-lite0",
    sentences: Encoder | str = "minilm",
    *,
    temperature: float = 0.05,
) -> Scorer:
    """Any words, by the classes that they speak of: the log-probability that the picture's class is one of those.

        score = log sum_c q(c | words) p(c | x),    q = softmax(cos(s(words), s(name of c)) / temperature)

    Cosines are between sentences less the mean of all classes' sentences. Where ConSE compares mean embeddings, whose
    gradient dies with the probability of the class that is wanted, a log-probability pulls the harder the less likely
    that class is. What no class is near to cannot be asked for: q is then spread over unrelated classes.

    Args:
      net: a classifier, or the name of one.
      sentences: any function of sentences to vectors [P, D], or "minilm".
      temperature: of q; lower: only the nearest class counts.

    Raises:
      InvalidInput: a temperature that is not positive.
    """
    net = load(net) if isinstance(net, str) else net
    encoder: Encoder = load("minilm") if isinstance(sentences, str) else sentences
    if not temperature > 0:
        raise InvalidInput(f"temperature={temperature}", "above 0", "temperature=0.05")
    names, middle = _class_sentences(net, encoder)

    def look(images: Array) -> Array:
        return jax.nn.log_softmax(net(images))

    def read(said: Sequence[str]) -> Array:
        return jax.nn.log_softmax(cosine((encoder(said) - middle)[:, None], names - middle) / temperature)

    return Scorer(f"words({net.name}, {_called(encoder)})", net.input_size, look, read, agreement)


def _called(encoder: Encoder) -> str:
    return str(getattr(encoder, "name", None) or getattr(encoder, "__name__", type(encoder).__name__))


def _class_sentences(net: Network, encoder: Encoder) -> tuple[Array, Array]:
    """The sentence of every class's first name [classes, D], and their mean [D]."""
    names = encoder([label.split(",")[0] for label in net.labels])
    return names, jnp.mean(names, 0)


def embeddings(model: Any, *, similarity: Similarity = cosine, name: str | None = None) -> Scorer:
    """Anything with embeddings of pictures and of texts in one space, such as CLIP.

    Args:
      model: has `image_features(images)` for pictures [B, S, S, 3] in [0, 1], `tokenize(sentences)` and
        `text_features(tokens)`; `input_size` is 224 where it does not say.
      similarity: between the two.
      name: for people; the model's own name where it has one.

    Raises:
      InvalidInput: a model that lacks one of them.
    """
    lacking = [one for one in ("image_features", "text_features", "tokenize") if not hasattr(model, one)]
    if lacking:
        raise InvalidInput(
            f"{type(model).__name__}, which has no {lacking[0]}",
            "image_features(images), tokenize(sentences) and text_features(tokens)",
            "scorers.classifier(net) for a classifier, scorers.conse(net) for one with any words",
        )
    said = name or getattr(model, "name", None) or type(model).__name__
    size = int(getattr(model, "input_size", CLIP_SIZE))
    return Scorer(
        said,
        size,
        model.image_features,
        lambda words: model.text_features(model.tokenize(list(words))),
        similarity,
    )


def clip(net: Clip | str | os.PathLike[str], *, similarity: Similarity = cosine, **options: Any) -> Scorer:
    """Any words, by a CLIP: pictures and words are in one space, and the score is the cosine between them.

    Args:
      net: a `Clip`, or where its weights are: any file or folder that `diffprog.models.clip.load` reads.
      similarity: between the two.
      **options: of `diffprog.models.clip.load`.

    Raises:
      Unreachable: no such file.
      BadFile: weights that are not those of a CLIP, or a vocabulary that does not belong to them.
    """
    return embeddings(net if isinstance(net, Clip) else load_clip(net, **options), similarity=similarity)


def as_scorer(what: Any) -> Scorer:
    """A scorer as it is; a network by the log-probability of a class; else what has embeddings."""
    if isinstance(what, Scorer):
        return what
    return classifier(what) if isinstance(what, Network | str) else embeddings(what)
