"""Train a small CLIP on pairs of pictures and names; a run that was interrupted goes on from its checkpoint.

The loop, its checkpoints and the order of the batches are those of `diffprog.optimize.training`. The vocabulary is
learned from the names that are trained on, and from no others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from diffprog.contrastive.cost import LARGEST_SCALE, contrastive_cost, embeddings, initial
from diffprog.contrastive.pairs import Pairs
from diffprog.contrastive.retrieval import KS, Retrieval, retrieval
from diffprog.errors import InvalidInput
from diffprog.models.clip import Architecture, Clip, TextTransformer, Tokenizer, VisionTransformer
from diffprog.models.clip.building import assembled
from diffprog.models.clip.learning import learned
from diffprog.models.clip.vocabulary import Vocabulary
from diffprog.optimize.progress import Progress, silent
from diffprog.optimize.training import Trained, train

PyTree = Any
MERGES = 1000
EPOCHS, BATCH = 60, 256
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.1
WARM_UP = 0.05  # of all steps
EVALUATIONS = 25


class Sizes(NamedTuple):
    """A small CLIP in a few numbers; both towers have heads of 32 features and hidden layers four times as wide."""

    width: int = 128
    image_layers: int = 4
    text_layers: int = 2
    patches: int = 6  # along a side of the picture
    embedding: int = 128
    context: int = 48

    def architecture(self, image_size: int, vocabulary: int) -> Architecture:
        """The CLIP of these sizes for such pictures and such a vocabulary.

        Raises:
          InvalidInput: pictures that patches do not divide.
        """
        if image_size % self.patches:
            raise InvalidInput(
                f"pictures of {image_size} pixels in {self.patches} patches a side",
                "a multiple of the patches",
                f"pictures of {max(1, image_size // self.patches) * self.patches} pixels",
            )
        patch, heads, hidden = image_size // self.patches, max(1, self.width // 32), 4 * self.width
        vision = VisionTransformer(self.width, self.image_layers, heads, patch, image_size, hidden)
        text = TextTransformer(self.width, self.text_layers, heads, self.context, vocabulary, hidden)
        name = f"ViT-{self.image_layers}x{self.width}/{patch}"
        return Architecture(name, vision, text, self.embedding)


SMALL = Sizes()


class Pretrained(NamedTuple):
    """What a training came to.

    Attributes:
      clip: the towers that were trained, ready to be used and saved (`diffprog.models.clip.save`).
      run: costs, metrics, and why it ended.
      held_out: retrieval among the pairs that were not trained on, in their plain variants.
      trained: the same among as many that were.
    """

    clip: Clip
    run: Trained
    held_out: Retrieval
    trained: Retrieval


def pretrain(
    learn: Pairs,
    test: Pairs,
    *,
    sizes: Sizes = SMALL,
    loss: str = "info_nce",
    epochs: float = EPOCHS,
    batch: int = BATCH,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    devices: Sequence[Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Pretrained:
    """Train an image tower and a text tower until each picture is nearest to its name.

    Args:
      learn: pairs to train on.
      test: pairs to find, never trained on; used to look and not to choose.
      sizes: of the towers.
      loss: "info_nce" (CLIP's) or "sigmoid" (SigLIP's).
      epochs: how often every concept is seen, in another view every time.
      batch: concepts in a step; each is told from all others of it.
      learning_rate: the highest, after a warm-up, of AdamW; it falls along a cosine to 0.
      seed: of the parameters, the order and the views.
      devices: to spread every batch over; each holds its rows of the similarity matrix only.
      checkpoint: a file kept while it goes. If it is there, the run goes on from it, to the same result bit for bit.
      progress: told of every step.

    Returns:
      `Pretrained`; Ctrl-C returns what there is.

    Raises:
      InvalidInput: numbers out of range, an unknown loss, pictures that patches or a batch that devices do not divide.
      BadFile: a checkpoint of another training.
    """
    vocabulary = learned((name for row in learn.names for name in row), MERGES)
    architecture = sizes.architecture(learn.pictures.shape[2], len(vocabulary.numbers))
    tokenizer = Tokenizer(vocabulary, architecture.text.context)
    start_key, key = jax.random.split(jax.random.key(seed))
    data, unseen = (_arrays(pairs, tokenizer) for pairs in (learn, test))
    look = _looking(architecture, data, unseen)
    cost = contrastive_cost(architecture, loss, devices)
    steps = max(1, round(epochs * (len(learn.names) // max(batch, 1))))
    run = train(
        cost,
        initial(architecture, loss, start_key),
        _method(learning_rate, steps),
        data,
        batch=batch,
        epochs=epochs,
        key=key,
        keyed=True,
        evaluate=lambda params: _metrics(*look(params)),
        every=max(1, steps // EVALUATIONS),
        checkpoint=checkpoint,
        progress=progress,
    )
    return Pretrained(_clip(architecture, run.value, vocabulary), run, *look(run.value))


def _arrays(pairs: Pairs, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """The pairs as `contrastive_cost` takes them; nothing is kept behind the longest name."""
    flat = [name for row in pairs.names for name in row]
    tokens = tokenizer(flat).reshape(len(pairs.names), -1, tokenizer.context)
    longest = int((tokens == tokenizer.end).argmax(-1).max()) + 1
    return {"pictures": pairs.pictures, "tokens": tokens[..., :longest], "mirrors": pairs.mirrors}


def _looking(
    architecture: Architecture, data: Mapping[str, np.ndarray], unseen: Mapping[str, np.ndarray]
) -> Callable[[PyTree], tuple[Retrieval, Retrieval]]:
    """Parameters -> retrieval among the unseen, and among as many of the others."""
    of_pictures, of_texts = embeddings(architecture)

    @jax.jit
    def embedded(params: PyTree, pictures: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        return of_pictures(params, pictures.astype(jnp.float32) / 255), of_texts(params, tokens)

    learnt = len(data["tokens"])
    # Evenly: neighbours in the order of code points are alike.
    some = np.linspace(0, learnt - 1, min(len(unseen["tokens"]), learnt)).astype(int)

    def look(params: PyTree) -> tuple[Retrieval, Retrieval]:
        sides = unseen, {name: rows[some] for name, rows in data.items()}
        vectors = (embedded(params, side["pictures"][:, 0], side["tokens"][:, 0]) for side in sides)
        held_out, trained = (retrieval(np.asarray(a), np.asarray(b)) for a, b in vectors)
        return held_out, trained

    return look


def _metrics(held_out: Retrieval, trained: Retrieval) -> dict[str, float]:
    """By name: "pictures@5" is how often a name finds its picture among the five nearest."""
    return {
        f"{prefix}{what}@{k}": getattr(found, what)[k]
        for prefix, found in (("", held_out), ("trained ", trained))
        for what in ("pictures", "names")
        for k in KS
    }


def _method(learning_rate: float, steps: int) -> optax.GradientTransformation:
    if not learning_rate > 0:
        raise InvalidInput(
            f"learning_rate={learning_rate!r}", "a number above 0", f"learning_rate={LEARNING_RATE}"
        )
    warm = max(1, round(WARM_UP * steps))
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, warm, max(steps, warm + 1))

    def matrices(params: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    decayed = optax.adamw(schedule, b2=0.98, weight_decay=WEIGHT_DECAY, mask=matrices)
    return optax.chain(optax.clip_by_global_norm(1.0), decayed)


def _clip(architecture: Architecture, params: PyTree, vocabulary: Vocabulary) -> Clip:
    scale = min(float(params["scale"]), LARGEST_SCALE)
    context = architecture.text.context
    return assembled(
        architecture, params["image"], params["text"], scale, lambda: Tokenizer(vocabulary, context)
    )
