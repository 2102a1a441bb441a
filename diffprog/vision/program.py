"""The compiled parts of drawing: one step of the optimization, and the verdict on what came out.

Objectives and the network's parameters are arguments of the compiled parts, not baked into them, so that all units of
one layer share them. Everything carries a leading axis of pictures, and pictures never meet, except for a joint
objective: then the group is one drawing, seen through the same transforms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, redirect_relus
from diffprog.graph.objectives import Constant, Objective, naturalness, with_class_probability
from diffprog.optimize import Stage, State, compiled, initial, optimize
from diffprog.optimize.progress import Progress
from diffprog.vision import scoring, silence
from diffprog.vision.memory import check_memory
from diffprog.vision.recipe import Recipe
from diffprog.vision.scoring import Model, check_objective, trace_model
from diffprog.vision.transform import Compose, output_shape

ROBUST_DRAWS = 16
DEFAULT_SIZE = 224
LEAST_POSITIONS = 128  # 14 x 14 counts, 7 x 7 does not
JUDGING = 0xFFFFFFFF  # a step that no run reaches: its keys draw the transforms of the verdict


class Job(NamedTuple):
    """One picture to draw."""

    objective: Objective
    key: Array


class Part(NamedTuple):
    """A group of pictures as drawn; `history` is [steps, pictures]."""

    images: np.ndarray
    scores: np.ndarray
    robust_scores: np.ndarray
    history: np.ndarray
    stopped: str


class Program:
    """What draws pictures in groups of one size from one model by one recipe.

    Attributes:
      method: the optimizer.
      step: one compiled step of it.
      waking_step: the same with redirected ReLUs, for the first steps.

    Raises:
      InvalidInput: an objective that the model does not have, or a model that cannot be drawn from.
    """

    def __init__(self, model: Model, objectives: Sequence[Objective], recipe: Recipe, group: int = 1):
        self.recipe, self.group = recipe, group
        self.transform = Compose(recipe.transforms) if recipe.transforms else None
        self.size = recipe.size or DEFAULT_SIZE
        shape = output_shape(recipe.transforms, (self.size, self.size))
        self.seen = trace_model(model, (group, *shape, 3))
        same = shape == (self.size, self.size)
        self.bare = self.seen if same else trace_model(model, (group, self.size, self.size, 3))
        self.prior = _prior(model, recipe, self.bare)
        for graph in (self.bare,) if same else (self.bare, self.seen):
            for one in (*objectives, self.prior):
                check_objective(graph, one)
        self.method = recipe.optimizer()
        self.differentiable = False  # whether a gradient can reach the picture; known once a step is traced
        self.step = compiled(self._cost(self.seen), self.method, True)
        self.waking_step = compiled(self._cost(redirect_relus(self.seen)), self.method, True)
        self.ready: dict[int, Callable[..., Any]] = {}
        self.judge = jax.jit(self._judge)

    def draw(self, jobs: Sequence[Job], progress: Progress) -> Part:
        """Draw one picture for every job of a group.

        Raises:
          InvalidInput: an objective without a gradient, or pictures for which there is not enough memory.
        """
        keys = jnp.stack([job.key for job in jobs])
        args = self.arguments([job.objective for job in jobs])
        stages = self._stages(keys, args)
        start = self._start(keys)
        run = optimize(stages, start, self.method, key=keys, args=args, progress=progress)
        images, scores, robust = self.judge(run.value, keys, args[0], self.seen.consts)
        history = run.records if run.records is not None else np.zeros((0, len(jobs)))
        return Part(
            np.asarray(images), np.asarray(scores), np.asarray(robust), np.asarray(history), run.stopped
        )

    def arguments(self, objectives: Sequence[Objective]) -> tuple[Any, ...]:
        """What a step takes beside its state: what is scored, what drives it, the prior, the network's parameters."""
        driven = [with_class_probability(one, self.recipe.class_probability) for one in objectives]
        prior = jax.tree.map(jnp.asarray, self.prior)
        return scoring.stacked(objectives), scoring.stacked(driven), prior, self.seen.consts

    def why_silent(self, objectives: Sequence[Objective], images: np.ndarray) -> InvalidInput | None:
        """Why a group's scores did not move in all steps; None if they have a gradient after all."""
        score = self._score(scoring.stacked(objectives))
        return silence.silent(self.bare, score, jnp.asarray(images), self.recipe.steps)

    def _score(self, objective: Objective) -> Callable[[Array], Array]:
        def score(pictures: Array) -> Array:
            values = scoring.activations(self.bare, objective.layers, pictures)
            return jnp.sum(scoring.scores(objective, values))

        return score

    def _start(self, keys: Array) -> Any:
        return jax.vmap(lambda key: self.recipe.canvas.init(key, self.size))(keys)

    def _stages(self, keys: Array, args: tuple[Any, ...]) -> list[Stage]:
        steps, waking = self.recipe.steps, min(self.recipe.redirect_steps, self.recipe.steps)
        if waking and not self.recipe.redirect_always:
            state = self._state(keys)
            silent = bool(jnp.any(self._ready(self.step, keys, args)(state, *args)[1].record == 0))
            waking = waking if silent else 0
        counts = ((self.waking_step, waking), (self.step, steps - waking))
        return [Stage(self._ready(step, keys, args), count) for step, count in counts if count]

    def _state(self, keys: Array) -> State:
        return initial(self._start(keys), self.method, keys)

    def _ready(self, step: Any, keys: Array, args: tuple[Any, ...]) -> Callable[..., Any]:
        """A step, compiled once for all groups; what it cannot do is said before it starts."""
        if id(step) not in self.ready:
            lowered = step.lower(jax.eval_shape(self._state, keys), *args)
            if not self.differentiable:
                shape = (self.group, self.size, self.size, 3)
                raise silence.never(self.bare, self._score(args[0]), jax.ShapeDtypeStruct(shape, jnp.float32))
            self.ready[id(step)] = check_memory(lowered.compile(), self.group, self.size)
        return self.ready[id(step)]

    def _cost(self, graph: Graph) -> Callable[..., tuple[Array, Array]]:
        def cost(
            params: Any, keys: Array, scored: Objective, driven: Objective, prior: Objective, consts: Any
        ) -> Any:
            images = jax.vmap(self.recipe.canvas.to_image)(params)
            seen = self._transformed(images, keys, scored.joint)
            values = scoring.activations(graph, driven.layers | prior.layers, seen, consts)
            penalty = sum((jax.vmap(r)(images) for r in self.recipe.regularizers), jnp.zeros(len(images)))
            wanted = silence.noticed(scoring.scores(driven, values), self._differentiable)
            natural = prior.together({name: values[name] for name in prior.layers})
            return jnp.sum(penalty - (wanted + natural)), scoring.scores(scored, values)

        return cost

    def _differentiable(self) -> None:
        self.differentiable = True

    def _transformed(self, images: Array, keys: Array, joint: bool) -> Array:
        if self.transform is None:
            return images
        if joint:  # one draw for the group, so that what is in the same place stays there
            keys = keys[jnp.zeros(len(keys), int)]
        return jax.vmap(self.transform)(images, keys)

    def _judge(
        self, params: Any, keys: Array, objectives: Objective, consts: Sequence[Any]
    ) -> tuple[Array, Array, Array]:
        """The pictures, their scores as they are, and their mean scores over fresh transforms."""
        images = jax.vmap(self.recipe.canvas.to_image)(params)

        def score(graph: Graph, seen: Array) -> Array:
            return scoring.scores(objectives, scoring.activations(graph, objectives.layers, seen, consts))

        def once(number: Array) -> Array:
            fresh = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, JUDGING), number))(keys)
            seen = self._transformed(images, fresh, objectives.joint)
            # Where shapes allow it, the picture as it is goes first through the same compiled network.
            return score(self.seen, jnp.where(number == 0, images, seen) if self.seen is self.bare else seen)

        scores = jax.lax.map(once, jnp.arange(ROBUST_DRAWS + 1))
        clean = scores[0] if self.seen is self.bare else score(self.bare, images)
        return images, clean, scores[1:].mean(0)


def _prior(model: Model, recipe: Recipe, graph: Graph) -> Objective:
    """What the recipe wants of every picture, whatever it is of.

    Layers with few positions are left out: the mean over them says what the picture is of, not how natural it is.
    """
    if not recipe.naturalness:
        return Constant(0.0)
    statistics = getattr(model, "statistics", None)
    if not statistics:
        raise InvalidInput(
            f"a recipe with naturalness={recipe.naturalness:g} for {getattr(model, 'name', 'a function')}, "
            "which carries no statistics of natural pictures",
            "a network trained with batch normalization, whose `statistics` say how its layers see photographs",
            "recipe=recipes.DEFAULT, or recipe.replace(naturalness=0.0)",
        )
    kept = {n: s for n, s in statistics.items() if _positions(graph, n) >= LEAST_POSITIONS}
    return naturalness(kept) * recipe.naturalness if kept else Constant(0.0)


def _positions(graph: Graph, name: str) -> int:
    return math.prod(graph.values[graph.find(name)].shape[1:-1])
