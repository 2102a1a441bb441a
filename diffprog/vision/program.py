"""The compiled parts of drawing: one step of the optimization, and the verdict on what came out.

Objectives and the network's parameters are arguments of the compiled parts, not baked into them, so that all units of
one layer share them. Everything carries a leading axis of pictures, and pictures never meet, except for a joint
objective: then the group is one drawing, seen through the same transforms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from diffprog.errors import InvalidInput
from diffprog.graph import Graph, override, redirect_relus, skip_gradient, stochastic_depth
from diffprog.graph.objectives import Objective, with_class_probability
from diffprog.optimize import Stage, State, initial, optimize, stepper
from diffprog.optimize.progress import Progress
from diffprog.vision import scoring, silence
from diffprog.vision.balance import weights
from diffprog.vision.canvases.canvas import height_width
from diffprog.vision.memory import check_memory
from diffprog.vision.parts import Arguments, Job, Part, chosen
from diffprog.vision.placement import Placement
from diffprog.vision.prior import prior
from diffprog.vision.recipes import Recipe
from diffprog.vision.scoring import Model, check_objective, trace_model
from diffprog.vision.shapes import shapes
from diffprog.vision.transforms import Compose, still

ROBUST_DRAWS = 16
DEFAULT_SIZE = 224
DEPTH = 0x0D000000  # folded into a step's key, it and its successors say what each view is seen without
JUDGING = 0xFFFFFFFF  # a step that no run reaches: its keys draw the transforms of the verdict


class Program:
    """What draws pictures in groups of one size from one model by one recipe.

    Attributes:
      placement: how a group lies on several devices; None for one.
      method: the optimizer.
      step: one compiled step of it.
      waking_step: the same with redirected ReLUs, for the first steps.

    Raises:
      InvalidInput: an objective that the model does not have, or a model that cannot be drawn from.
    """

    def __init__(
        self, model: Model, objectives: Sequence[Objective], recipe: Recipe, group: int = 1,
        placement: Placement | None = None,
    ):  # fmt: skip
        self.recipe, self.group, self.placement = recipe, group, placement
        self.transform = Compose(recipe.transforms)
        self.size = height_width(recipe.size or DEFAULT_SIZE)
        seen, calm = shapes(recipe, self.size)
        self.seen = trace_model(model, (group * recipe.views, *seen))
        same = seen == calm and recipe.views == 1
        self.bare = self.seen if same else trace_model(model, (group, *calm))
        self.prior = prior(model, recipe, self.bare)
        for graph in (self.bare,) if same else (self.bare, self.seen):
            for one in (*objectives, self.prior):
                check_objective(graph, one)
        self.method = recipe.method()
        self.differentiable = False  # whether a gradient can reach the picture; known once a step is traced
        driving = override(self.seen, [one() for one in recipe.overrides])
        driving = skip_gradient(driving, recipe.branch_gradient)
        self.step = self._step(driving)
        self.waking_step = self._step(redirect_relus(driving))
        self.ready: dict[int, Callable[..., Any]] = {}
        self.judge = jax.jit(placement.gathered(self._judge) if placement else self._judge)

    def draw(self, jobs: Sequence[Job], progress: Progress) -> Part:
        """Draw one picture for every job of a group.

        Raises:
          InvalidInput: an objective without a gradient, or pictures for which there is not enough memory.
        """
        keys, args = self._given(jobs)
        start = self.start(keys)
        args = args._replace(weights=weights(self.recipe, self._cost(self.seen), start, keys, args))
        waking = self._waking(initial(start, self.method, keys), args)
        if waking.all() or not waking.any():
            return self._drawn(start, keys, args, bool(waking.all()), progress)
        # Both ways, so that a picture does not depend on what it is drawn beside.
        return chosen(
            waking,
            self._drawn(start, keys, args, True, progress),
            self._drawn(start, keys, args, False, progress),
        )

    def arguments(self, objectives: Sequence[Objective]) -> Arguments:
        """What a step takes beside its state."""
        driven = [with_class_probability(one, self.recipe.class_probability) for one in objectives]
        return Arguments(
            scoring.stacked(objectives),
            scoring.stacked(driven),
            jax.tree.map(jnp.asarray, self.prior),
            self.seen.consts,
            jnp.ones((len(objectives), len(self.recipe.regularizers))),
        )

    def start(self, keys: Array) -> Any:
        """Parameters of the first pictures."""
        canvas = self.recipe.canvas
        if hasattr(canvas, "init_all"):
            return canvas.init_all(keys, self.size)
        return jax.vmap(lambda key: canvas.init(key, self.size))(keys)

    def why_silent(self, objectives: Sequence[Objective], images: np.ndarray) -> InvalidInput | None:
        """Why a group's scores did not move in all steps; None if they have a gradient after all."""
        calm = jax.vmap(lambda image: still(self.recipe.transforms, image))(jnp.asarray(images))
        return silence.silent(self.bare, self._score(scoring.stacked(objectives)), calm, self.recipe.steps)

    def _given(self, jobs: Sequence[Job]) -> tuple[Array, Arguments]:
        """The keys and the arguments of a group, where they belong."""
        keys = jnp.stack([job.key for job in jobs])
        args = self.arguments([job.objective for job in jobs])
        if self.placement is None:
            return keys, args
        prior, consts = self.placement.placed((args.prior, args.consts), split=False)
        keys, scored, driven, ones = self.placement.placed((keys, args.scored, args.driven, args.weights))
        return keys, Arguments(scored, driven, prior, consts, ones)

    def _images(self, params: Any) -> Array:
        canvas = self.recipe.canvas
        if hasattr(canvas, "to_images"):
            return canvas.to_images(params)
        images = jax.vmap(canvas.to_image)
        return self.placement.apart(images)(params) if self.placement else images(params)

    def _step(self, graph: Graph) -> Callable[..., Any]:
        """A compiled step, which tells the cost what share of all steps is behind."""
        step = stepper(self._cost(graph), self.method, True)

        def with_progress(state: State, *args: Any) -> Any:
            return step(state, *args, state.step / self.recipe.steps)

        return jax.jit(self.placement.kept(with_progress) if self.placement else with_progress)

    def _waking(self, state: State, args: Arguments) -> np.ndarray:
        """Which pictures begin with redirected ReLUs: [pictures], or [1] if they are one drawing."""
        count = 1 if args.scored.joint else self.group
        if self.recipe.redirect_always or not self.recipe.redirect_steps:
            return np.full(count, bool(self.recipe.redirect_steps))
        scores = np.asarray(self._ready(self.step, state, args)(state, *args)[1].record)
        return np.array([not scores.all()]) if args.scored.joint else scores == 0

    def _drawn(self, start: Any, keys: Array, args: Arguments, waking: bool, progress: Progress) -> Part:
        steps = self.recipe.steps
        first = min(self.recipe.redirect_steps, steps) if waking else 0
        state = initial(start, self.method, keys)
        counts = ((self.waking_step, first), (self.step, steps - first))
        stages = [Stage(self._ready(step, state, args), count) for step, count in counts if count]
        run = optimize(stages, start, self.method, key=keys, args=args, progress=progress)
        images, scores, robust = self.judge(run.value, keys, args.scored, args.consts)
        history = run.records if run.records is not None else np.zeros((0, self.group))
        return Part(
            np.asarray(images), np.asarray(scores), np.asarray(robust), np.asarray(history), run.stopped
        )

    def _ready(self, step: Any, state: State, args: Arguments) -> Callable[..., Any]:
        """A step, compiled once for all groups; what it cannot do is said before it starts."""
        if id(step) not in self.ready:
            lowered = step.lower(state, *args)
            if not self.differentiable:
                shape = (self.group, *self.bare.values[self.bare.inputs[0]].shape[1:])
                score = self._score(args.scored)
                raise silence.never(self.bare, score, jax.ShapeDtypeStruct(shape, jnp.float32))
            self.ready[id(step)] = check_memory(lowered.compile(), self.group, self.size)
        return self.ready[id(step)]

    def _score(self, objective: Objective) -> Callable[[Array], Array]:
        def score(pictures: Array) -> Array:
            values = scoring.activations(self.bare, objective.layers, pictures)
            return jnp.sum(scoring.scores(objective, values))

        return score

    def _cost(self, graph: Graph) -> Callable[..., tuple[Array, Array]]:
        def cost(
            params: Any, keys: Array, scored: Objective, driven: Objective, prior: Objective, consts: Any,
            weights: Array, progress: Array,
        ) -> Any:  # fmt: skip
            images, views = self._images(params), self.recipe.views
            seen = self._transformed(images, keys, progress, scored.joint)
            network = self._shortened(graph, keys, scored.joint)
            values = scoring.activations(network, driven.layers | prior.layers, seen, consts)
            penalties = [jax.vmap(one)(images) for one in self.recipe.regularizers]
            penalty = sum((weights[:, i] * one for i, one in enumerate(penalties)), jnp.zeros(len(images)))
            wanted = silence.noticed(scoring.scores(driven, values, views), self._differentiable)
            natural = prior.together({name: values[name] for name in prior.layers})
            natural = jnp.sum(natural) / views if jnp.ndim(natural) else len(images) * natural
            return jnp.sum(penalty - wanted) - natural, scoring.scores(scored, values, views)

        return cost

    def _differentiable(self) -> None:
        self.differentiable = True

    def _transformed(
        self, images: Array, keys: Array, progress: float | Array = 0.0, joint: bool = False
    ) -> Array:
        """Pictures as they are seen: [pictures * views, h, w, c], all views of the first picture first."""
        if joint:  # one draw for the group, so that what is in the same place stays there
            keys = keys[jnp.zeros(len(keys), int)]
        one = jax.vmap(lambda image, key: self.transform(image, key, progress))
        if self.recipe.views == 1:
            return one(images, keys)
        numbers = jnp.arange(self.recipe.views)
        views = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, numbers))(keys)
        seen = jax.vmap(one, (None, 1), 1)(images, views)  # [pictures, views, h, w, c]
        return seen.reshape(-1, *seen.shape[2:])

    def _shortened(self, graph: Graph, keys: Array, joint: bool) -> Graph:
        """The network as it is seen through in this step: every view of a picture through another one."""
        if not self.recipe.stochastic_depth:
            return graph
        if joint:
            keys = keys[jnp.zeros(len(keys), int)]
        views = jnp.arange(self.recipe.views) + DEPTH
        own = jax.vmap(lambda key: jax.vmap(jax.random.fold_in, (None, 0))(key, views))(keys)
        return stochastic_depth(graph, own.reshape(-1, *own.shape[2:]), self.recipe.stochastic_depth)

    def _judge(
        self, params: Any, keys: Array, objectives: Objective, consts: Sequence[Any]
    ) -> tuple[Array, Array, Array]:
        """The pictures, their scores as they are, and their mean scores over fresh transforms."""
        images, views = self._images(params), self.recipe.views
        calm = jax.vmap(lambda image: still(self.recipe.transforms, image))(images)

        def score(graph: Graph, seen: Array, views: int = 1) -> Array:
            return scoring.scores(
                objectives, scoring.activations(graph, objectives.layers, seen, consts), views
            )

        def once(number: Array) -> Array:
            fresh = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, JUDGING), number))(keys)
            seen = self._transformed(images, fresh, joint=objectives.joint)
            # Where shapes allow it, the picture as it is goes first through the same compiled network.
            seen = jnp.where(number == 0, calm, seen) if self.seen is self.bare else seen
            return score(self.seen, seen, views)

        scores = jax.lax.map(once, jnp.arange(max(1, ROBUST_DRAWS // views) + 1))
        clean = scores[0] if self.seen is self.bare else score(self.bare, calm)
        return images, clean, scores[1:].mean(0)
