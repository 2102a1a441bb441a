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
from diffprog.graph import Graph, override, redirect_relus, trace
from diffprog.graph.naturalness import naturalness
from diffprog.graph.objective import OUTPUT, Activations, Constant, Objective, with_class_probability
from diffprog.optimize import Stage, State, initial, optimize, stepper
from diffprog.optimize.progress import Progress
from diffprog.vision.balance import weights
from diffprog.vision.canvases import Transparent
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.recipes import Recipe
from diffprog.vision.transforms import Compose, OnBackground, output_shape, still

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
        self.transform = Compose(recipe.transforms)
        self.size = height_width(recipe.size or DEFAULT_SIZE)
        seen, calm = _shapes(recipe, self.size)
        self.seen = trace_model(model, (group * recipe.views, *seen))
        same = seen == calm and recipe.views == 1
        self.bare = self.seen if same else trace_model(model, (group, *calm))
        self.prior = _prior(model, recipe, self.bare)
        for one in (*objectives, self.prior):
            check_objective(self.bare, one)
        self.method = recipe.optimizer()
        driving = override(self.seen, [one() for one in recipe.overrides])
        self.step = self._step(driving)
        self.waking_step = self._step(redirect_relus(driving))
        self.judge = jax.jit(self._judge)

    def draw(self, jobs: Sequence[Job], progress: Progress) -> Part:
        """Draw one picture for every job of a group."""
        keys = jnp.stack([job.key for job in jobs])
        args = self.arguments([job.objective for job in jobs])
        start = self.start(keys)
        args = (*args[:-1], weights(self.recipe, self._cost(self.seen), start, keys, args))
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
        ones = jnp.ones((len(objectives), len(self.recipe.regularizers)))
        return _stacked(objectives), _stacked(driven), self.seen.consts, ones

    def start(self, keys: Array) -> Any:
        """Parameters of the first pictures."""
        canvas = self.recipe.canvas
        if hasattr(canvas, "init_all"):
            return canvas.init_all(keys, self.size)
        return jax.vmap(lambda key: canvas.init(key, self.size))(keys)

    def _images(self, params: Any) -> Array:
        canvas = self.recipe.canvas
        return canvas.to_images(params) if hasattr(canvas, "to_images") else jax.vmap(canvas.to_image)(params)

    def _step(self, graph: Graph) -> Callable[..., Any]:
        """A compiled step, which tells the cost what share of all steps is behind."""
        step = stepper(self._cost(graph), self.method, True)
        return jax.jit(lambda state, *args: step(state, *args, state.step / self.recipe.steps))

    def _stages(self, state: State, args: tuple[Any, ...]) -> list[Stage]:
        steps, waking = self.recipe.steps, min(self.recipe.redirect_steps, self.recipe.steps)
        if waking and not self.recipe.redirect_always:
            silent = bool(jnp.any(self.step(state, *args)[1].record == 0))
            waking = waking if silent else 0
        return [Stage(self.waking_step, waking), Stage(self.step, steps - waking)]

    def _cost(self, graph: Graph) -> Callable[..., tuple[Array, Array]]:
        def cost(
            params: Any, keys: Array, scored: Objective, driven: Objective, consts: Any, weights: Array,
            progress: Array,
        ) -> Any:  # fmt: skip
            images = self._images(params)
            seen = self._transformed(images, keys, progress)
            values = _activations(graph, driven.layers, seen, consts)
            penalties = [jax.vmap(one)(images) for one in self.recipe.regularizers]
            penalty = sum((weights[:, i] * one for i, one in enumerate(penalties)), jnp.zeros(len(images)))
            views = self.recipe.views
            return jnp.sum(penalty - _scores(driven, values, views)), _scores(scored, values, views)

        return cost

    def _transformed(self, images: Array, keys: Array, progress: float | Array = 0.0) -> Array:
        """Pictures as they are seen: [pictures * views, h, w, c], all views of the first picture first."""
        one = jax.vmap(lambda image, key: self.transform(image, key, progress))
        if self.recipe.views == 1:
            return one(images, keys)
        numbers = jnp.arange(self.recipe.views)
        views = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, numbers))(keys)
        seen = jax.vmap(one, (None, 1), 1)(images, views)  # [pictures, views, h, w, c]
        return seen.reshape(-1, *seen.shape[2:])

    def _judge(
        self, params: Any, keys: Array, objectives: Objective, consts: Sequence[Any]
    ) -> tuple[Array, Array, Array]:
        """The pictures, their scores as they are, and their mean scores over fresh transforms."""
        images = self._images(params)
        calm = jax.vmap(lambda image: still(self.recipe.transforms, image))(images)

        def score(graph: Graph, seen: Array, views: int = 1) -> Array:
            return _scores(objectives, _activations(graph, objectives.layers, seen, consts), views)

        def once(number: Array) -> Array:
            fresh = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, JUDGING), number))(keys)
            seen = self._transformed(images, fresh)
            # Where shapes allow it, the picture as it is goes first through the same compiled network.
            seen = jnp.where(number == 0, calm, seen) if self.seen is self.bare else seen
            return score(self.seen, seen, self.recipe.views)

        scores = jax.lax.map(once, jnp.arange(max(1, ROBUST_DRAWS // self.recipe.views) + 1))
        clean = scores[0] if self.seen is self.bare else score(self.bare, calm)
        return images, clean, scores[1:].mean(0)


def _shapes(recipe: Recipe, size: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """[h, w, c] of a picture as it is seen, and as it is judged without chance.

    Raises:
      InvalidInput: transforms that leave nothing, or transparent pictures that are put over no background.
    """
    if isinstance(recipe.canvas, Transparent) and not any(
        isinstance(one, OnBackground) for one in recipe.transforms
    ):
        raise InvalidInput(
            "transparent pictures and no background to see them over",
            "OnBackground among the transforms: networks do not know transparency",
            "recipe.replace(transforms=(transforms.OnBackground(), *recipe.transforms))",
        )
    output_shape(recipe.transforms, size)
    key = jax.eval_shape(lambda: jax.random.key(0))
    image = jax.eval_shape(lambda key: recipe.canvas.to_image(recipe.canvas.init(key, size)), key)
    seen = jax.eval_shape(Compose(recipe.transforms), image, key)
    calm = jax.eval_shape(lambda image: still(recipe.transforms, image), image)
    return seen.shape, calm.shape


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


def _scores(objectives: Objective, activations: Activations, views: int = 1) -> Array:
    """One score a picture, the mean over its views; the objectives' leaves carry a leading axis of pictures."""
    read = {name: activations[name] for name in objectives.layers}
    if views == 1:
        return jax.vmap(lambda objective, values: objective(values))(objectives, read)
    apart = {name: values.reshape(-1, views, *values.shape[1:]) for name, values in read.items()}
    return jax.vmap(lambda objective, values: jnp.mean(jax.vmap(objective)(values)))(objectives, apart)


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
