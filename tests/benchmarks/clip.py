"""What CLIP's image tower is made of, against other ways to write the same: the gradient by the tokens.

    python -m tests.benchmarks.clip

Prints, for two blocks at the sizes of ViT-B/32 and ViT-B/16, how much longer each other way takes; medians of
interleaved runs. Below 1 the other way is the faster.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp

from diffprog import rules
from diffprog.models.clip import transformer
from tests.benchmarks.timing import milliseconds

SIZES = {"ViT-B/32, 8 pictures": (8, 50, 768, 12), "ViT-B/16, 2 pictures": (2, 197, 768, 12)}


class FlaxNorm(nn.Module):
    """Flax's layer norm, with JAX's own gradient."""

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.LayerNorm(epsilon=self.epsilon, name="norm")(x)


def rule(q: jax.Array, k: jax.Array, v: jax.Array, causal: bool = False) -> jax.Array:
    return rules.dot_product_attention(q, k, v, causal=causal)


def plain_gelu(x: jax.Array) -> jax.Array:
    return x * jax.nn.sigmoid(1.702 * x)


WAYS: dict[str, tuple[dict[str, Any], Callable[[jax.Array], jax.Array]]] = {
    "as it is": ({}, rules.quick_gelu),
    "attention by the rule": ({"attention": rule}, rules.quick_gelu),
    "layer norm by autodiff": ({"LayerNorm": FlaxNorm}, rules.quick_gelu),
    "quick gelu by autodiff": ({}, plain_gelu),
}


def gradient(
    changes: dict[str, Any], activation: Callable[[jax.Array], jax.Array], size: tuple[int, ...]
) -> Callable[[], Any]:
    """A compiled gradient through two blocks, ready to be called."""
    batch, tokens, channels, heads = size
    x = jax.random.normal(jax.random.key(0), (batch, tokens, channels))
    block = transformer.Block(heads, 4 * channels, activation, 1e-5)
    with contextlib.ExitStack() as stack:
        for name, other in changes.items():
            stack.enter_context(mock.patch.object(transformer, name, other))
        params = block.init(jax.random.key(1), x)
        step = jax.jit(jax.grad(lambda x, p: jnp.sum(block.apply(p, block.apply(p, x)) ** 2)))
        step(x, params)
    return lambda: step(x, params)


def main() -> None:
    """Print the table."""
    for title, size in SIZES.items():
        times = milliseconds({name: gradient(*way, size) for name, way in WAYS.items()})
        print(f"{title}: {times['as it is']:.0f} ms")
        for name, time in times.items():
            print(f"  {name:<24} {time / times['as it is']:.2f}")


if __name__ == "__main__":
    main()
