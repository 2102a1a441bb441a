"""The compiled parts of drawing: one step of the optimization, and the verdict on what came out.

Objectives and the network's parameters are arguments of the compiled parts, not baked into them, so that all units of
one layer share them. Everything carries a leading axis of pictures, and pictures never meet.
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
from diffprog.graph import Graph, redirect_relus, trace
from diffprog.graph.naturalness import naturalness
from diffprog.graph.objective import OUTPUT, Activations, Constant, Objective, with_class_probability
from diffprog.optimize import Stage, State, compiled, initial, optimize
from diffprog.optimize.progress import Progress
from diffprog.vision.recipe import Recipe
from diffprog.vision.transform import Compose, output_shape

Model = Callable[[Array], Array]

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
        self.recipe = recipe
        self.transform = Compose(recipe.transforms) if recipe.transforms else None
        self.size = recipe.size or DEFAULT_SIZE
        shape = output_shape(recipe.transforms, (self.size, self.size))
        self.seen = trace_model(model, (group, *shape, 3))
        same = shape == (self.size, self.size)
        self.bare = self.seen if same else trace_model(model, (group, self.size, self.size, 3))
        self.prior = _prior(model, recipe, self.bare)
        for one in (*objectives, self.prior):
            check_objective(self.bare, one)
        self.method = recipe.optimizer()
        self.step = compiled(self._cost(self.seen), self.method, True)
        self.waking_step = compiled(self._cost(redirect_relus(self.seen)), self.method, True)
        self.judge = jax.jit(self._judge)

    def draw(self, jobs: Sequence[Job], progress: Progress) -> Part:
        """Draw one picture for every job of a group."""
        keys = jnp.stack([job.key for job in jobs])
        args = self.arguments([job.objective for job in jobs])
        start = jax.vmap(lambda key: self.recipe.canvas.init(key, self.size))(keys)
        stages = self._stages(initial(start, self.method, keys), args)
        run = optimize(stages, start, self.method, key=keys, args=args, progress=progress)
        images, scores, robust = self.judge(run.value, keys, args[0], self.seen.consts)
        history = run.records if run.records is not None else np.zeros((0, len(jobs)))
        return Part(
            np.asarray(images), np.asarray(scores), np.asarray(robust), np.asarray(history), run.stopped
        )

    def arguments(self, objectives: Sequence[Objective]) -> tuple[Any, ...]:
        """What a step takes beside its state: what is scored, what drives it, and the network's parameters."""
        driven = [
            with_class_probability(one, self.recipe.class_probability) + self.prior for one in objectives
        ]
        return _stacked(objectives), _stacked(driven), self.seen.consts

    def _stages(self, state: State, args: tuple[Any, ...]) -> list[Stage]:
        steps, waking = self.recipe.steps, min(self.recipe.redirect_steps, self.recipe.steps)
        if waking and not self.recipe.redirect_always:
            silent = bool(jnp.any(self.step(state, *args)[1].record == 0))
            waking = waking if silent else 0
        return [Stage(self.waking_step, waking), Stage(self.step, steps - waking)]

    def _cost(self, graph: Graph) -> Callable[..., tuple[Array, Array]]:
        def cost(params: Any, keys: Array, scored: Objective, driven: Objective, consts: Any) -> Any:
            images = jax.vmap(self.recipe.canvas.to_image)(params)
            values = _activations(graph, driven.layers, self._transformed(images, keys), consts)
            penalty = sum((jax.vmap(r)(images) for r in self.recipe.regularizers), jnp.zeros(len(images)))
            return jnp.sum(penalty - _scores(driven, values)), _scores(scored, values)

        return cost

    def _transformed(self, images: Array, keys: Array) -> Array:
        return images if self.transform is None else jax.vmap(self.transform)(images, keys)

    def _judge(
        self, params: Any, keys: Array, objectives: Objective, consts: Sequence[Any]
    ) -> tuple[Array, Array, Array]:
        """The pictures, their scores as they are, and their mean scores over fresh transforms."""
        images = jax.vmap(self.recipe.canvas.to_image)(params)

        def score(graph: Graph, seen: Array) -> Array:
            return _scores(objectives, _activations(graph, objectives.layers, seen, consts))

        def once(number: Array) -> Array:
            fresh = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, JUDGING), number))(keys)
            seen = self._transformed(images, fresh)
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


def _stacked(objectives: Sequence[Objective]) -> Objective:
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *objectives)


def _activations(graph: Graph, layers: frozenset[str], images: Array, consts: Sequence[Any]) -> Activations:
    out, activations = graph.run(images, taps=sorted(layers - {OUTPUT}), consts=consts)
    return {**activations, OUTPUT: out}


def _scores(objectives: Objective, activations: Activations) -> Array:
    """One score a picture; the objectives' leaves carry the same leading axis as the activations."""
    read = {name: activations[name] for name in objectives.layers}
    return jax.vmap(lambda objective, values: objective(values))(objectives, read)


def trace_model(model: Model, shape: tuple[int, ...]) -> Graph:
    """Trace a model for pictures of this shape, and say what is wrong with one that cannot be used.

    Raises:
      InvalidInput: the model does not return one array with a row for every picture.
    """
    graph = trace(model, jax.ShapeDtypeStruct(shape, jnp.float32))
    outputs = [graph.values[i] for i in graph.outputs]
    if len(outputs) != 1 or outputs[0].shape[:1] != shape[:1]:
        got = ", ".join(str(list(value.shape)) for value in outputs)
        raise InvalidInput(
            f"a model that returns {got or 'nothing'} for pictures {list(shape)}",
            f"one array with a row for each picture: [{shape[0]}, ...]",
            "wrapping it: lambda images: model(images)[0], or one that keeps the batch axis",
        )
    return graph


def check_objective(graph: Graph, objective: Objective) -> None:
    """Refuse layers that are not there and channels, classes or positions out of range.

    Raises:
      InvalidInput: with the range, or the nearest names.
    """
    shapes = {}
    for name in objective.layers:
        number = graph.outputs[0] if name == OUTPUT else graph.find(name)
        shapes[name] = graph.values[number].shape[1:]
    objective.check(shapes)
