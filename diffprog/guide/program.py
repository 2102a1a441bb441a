"""The compiled parts of guidance: the first look at many latents, one step, and the verdict on what came out.

What a generator and a scorer close over, their parameters, are arguments of the compiled parts and not baked into
them. Members of a population never meet, and on CPUs they are computed one after the other (`pieces.each`), so
member i of several is the member one gets from its key alone.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, trace
from diffprog.guide import views
from diffprog.guide.augments import Augment, Whole
from diffprog.guide.generators import Generator, checked
from diffprog.guide.members import Look, Members, averaged
from diffprog.guide.pieces import each, mean_over
from diffprog.guide.priors import Prior
from diffprog.guide.scorers import Scorer
from diffprog.guide.targets import Target, score
from diffprog.machine import one_by_one

START, JUDGING = 0xFFFFFFFD, 0xFFFFFFFC  # folded into a member's key where no step's number reaches
ROBUST_DRAWS = 16
FRAME_SIZE = 96  # pictures of a trajectory are no larger, so that a run of all its steps fits into memory


class Found(NamedTuple):
    """The verdict: every member's best latent, its picture, and its scores."""

    latents: Any
    images: Array
    scores: Array
    augmented: Array


class Program:
    """What guides latents of one generator by one scorer.

    Attributes:
      consts: what generator and scorer close over, as the compiled parts take it.

    Raises:
      InvalidInput: a generator that makes no pictures, or chunks that do not divide the views.
    """

    def __init__(
        self, generator: Generator, scorer: Scorer, augment: Augment, prior: Prior, chunks: int = 1,
        frames: bool = False, remat: bool = False,
    ):  # fmt: skip
        if chunks < 1 or augment.count < 1 or augment.count % chunks:
            raise InvalidInput(
                f"chunks={chunks} of {augment.count} views",
                "a number that divides the views",
                f"chunks={max(d for d in range(1, min(chunks, augment.count) + 1) if augment.count % d == 0)}"
                if chunks > 0 and augment.count > 0
                else "chunks=1 and at least one view",
            )
        self.generator, self.scorer, self.augment, self.prior = generator, scorer, augment, prior
        self.chunks, self.frames, self.remat = chunks, frames, remat
        self.height, self.width = checked(generator, jax.random.key(0))
        latent = jax.eval_shape(generator.draw, jax.random.key(0))
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape), leaf.dtype), latent)
        self.making = trace(generator.images, one)
        self.seeing = {count: self._seeing(count) for count in {1, augment.count // chunks}}
        self.consts = (self.making.consts, {count: graph.consts for count, graph in self.seeing.items()})
        self.screen = jax.jit(self._screen, static_argnums=3)
        self.judge = jax.jit(self._judge, static_argnums=4)
        self.scores = jax.jit(self._scores)

    def _seeing(self, count: int) -> Graph:
        shape = (count, self.scorer.size, self.scorer.size, 3)
        return trace(self.scorer.look, jax.ShapeDtypeStruct(shape, jnp.float32))

    def cost(self, value: Members, keys: Array, targets: Target, consts: Any) -> tuple[Array, Look]:
        """The sum of all members' costs, and what was seen of each; keys [n], targets [n, ...]."""
        costs, look = each(self._member)(value.latents, (keys, targets), consts)
        return jnp.sum(costs), look

    def image(self, z: Any, consts: Any) -> Array:
        """The picture of one latent: [H, W, 3]."""
        run = partial(self.making.run, consts=consts[0])
        make = jax.checkpoint(lambda z: run(z)[0]) if self.remat else lambda z: run(z)[0]
        return make(jax.tree.map(lambda leaf: leaf[None], z))[0]

    def look(self, images: Array, consts: Any) -> Array:
        """e_2 of pictures at the scorer's size: [B, S, S, 3] -> [B, D]."""
        return self.seeing[len(images)].run(images, consts=consts[1][len(images)])[0]

    def plain(self, image: Array, target: Target, consts: Any) -> Array:
        """The score of one picture as it is."""
        seen = self.look(views.whole(image[None], self.scorer.size), consts)[0]
        return score(target, seen, self.scorer)

    def under_views(self, image: Array, key: Array, target: Target, consts: Any) -> Array:
        """The mean score of one picture under the augment's views."""
        numbers = jnp.arange(self.augment.count).reshape(self.chunks, -1)

        def of_chunk(image: Array, numbers: Array, shared: Any) -> Array:
            key, target, consts = shared
            seen = jax.vmap(lambda number: self.augment(image, key, number, self.scorer.size))(numbers)
            return jnp.mean(score(target, self.look(seen, consts), self.scorer, pulling=True))

        shared = (key, target, consts)
        if self.chunks == 1:
            return of_chunk(image, numbers[0], shared)
        return mean_over(of_chunk, image, numbers, shared)

    def _member(self, z: Any, example: tuple[Array, Target], consts: Any) -> tuple[Array, Look]:
        key, target = example
        image, price = self.image(z, consts), self.prior.penalty(z)
        still = jax.lax.stop_gradient(image)
        augmented = self.under_views(image, key, target, consts)
        once = isinstance(self.augment, Whole) and self.augment.count == 1
        plain = augmented if once else self.plain(still, target, consts)
        cost = price - augmented
        return cost, Look(cost, plain, augmented, price, self._frame(still) if self.frames else None)

    def _frame(self, image: Array) -> Array:
        height, width = frame_size(self.height, self.width)
        small = jax.image.resize(image, (height, width, 3), "linear")
        return jnp.round(jnp.clip(small, 0, 1) * 255).astype(jnp.uint8)

    def _screen(self, keys: Array, targets: Target, consts: Any, draws: int) -> Any:
        """Of `draws` latents from every key, the one whose picture scores best."""

        def one(key: Array, target: Target, consts: Any) -> Any:
            fresh = jax.random.split(jax.random.fold_in(key, jnp.uint32(START)), draws)
            zs = jax.vmap(lambda key: self.prior.project(self.generator.draw(key)))(fresh)
            if draws == 1:
                return jax.tree.map(lambda leaf: leaf[0], zs)
            scores = jax.lax.map(lambda z: self.plain(self.image(z, consts), target, consts), zs)
            best = jnp.argmax(jnp.where(jnp.isfinite(scores), scores, -jnp.inf))
            return jax.tree.map(lambda leaf: leaf[best], zs)

        return one_by_one(one, (0, 0, None))(keys, targets, consts)

    def _scores(self, latents: Any, targets: Target, consts: Any) -> tuple[Array, Array]:
        """Pictures [n, H, W, 3] and plain scores [n]."""

        def one(z: Any, target: Target, consts: Any) -> tuple[Array, Array]:
            image = self.image(z, consts)
            return image, self.plain(image, target, consts)

        return one_by_one(one, (0, 0, None))(latents, targets, consts)

    def _judge(
        self, value: Members, keys: Array, targets: Target, consts: Any, decay: float, steps: Array
    ) -> Found:
        """Of where a member is, its average and its best on the way, the latent that scores best."""

        def one(candidates: Any, key: Array, target: Target, consts: Any) -> Found:
            scores = jax.lax.map(lambda z: self.plain(self.image(z, consts), target, consts), candidates)
            best = jnp.argmax(jnp.where(jnp.isfinite(scores), scores, -jnp.inf))
            z = jax.tree.map(lambda leaf: leaf[best], candidates)
            image = self.image(z, consts)
            fresh = jax.random.split(jax.random.fold_in(key, jnp.uint32(JUDGING)), ROBUST_DRAWS)
            robust = jax.lax.map(lambda key: self.under_views(image, key, target, consts), fresh)
            return Found(z, image, scores[best], robust.mean())

        average = averaged(value, steps, decay)
        candidates = jax.tree.map(lambda *leaves: jnp.stack(leaves, 1), value.latents, average, value.best)
        return one_by_one(one, (0, 0, 0, None))(candidates, keys, targets, consts)


@lru_cache(maxsize=8)
def program(
    generator: Generator,
    scorer: Scorer,
    augment: Augment,
    prior: Prior,
    chunks: int,
    frames: bool,
    remat: bool,
) -> Program:
    """A program, kept for the next prompt."""
    return Program(generator, scorer, augment, prior, chunks, frames, remat)


def frame_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a trajectory's pictures."""
    factor = min(1.0, FRAME_SIZE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
