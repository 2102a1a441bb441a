"""Every kind of objective, with a twin in NumPy: one table, so that a new one cannot skip the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import diffprog as dp
from diffprog.graph.objectives import Objective, naturalness
from diffprog.graph.objectives.references import Caricature, Style

CHANNELS = 5
SHAPES = {
    "map": (4, 3, CHANNELS), "tokens": (6, CHANNELS), "patches": (17, CHANNELS), "units": (CHANNELS,), "output": (7,),
}  # fmt: skip
RANDOM = np.random.default_rng(3)


def drawn(*shape: int) -> np.ndarray:
    """Numbers that float32 holds exactly: objectives of the table are written in single precision."""
    return RANDOM.standard_normal(shape).astype(np.float32).astype(np.float64)


VECTOR = drawn(CHANNELS)
REFERENCES = {name: np.abs(drawn(*shape)) for name, shape in SHAPES.items()}
MASK = np.abs(drawn(4, 3))
Values = Mapping[str, np.ndarray]


class Entry(NamedTuple):
    """An objective, its score of one picture in NumPy, and a request that its layer refuses."""

    objective: Objective
    twin: Callable[[Values], float]
    refused: Objective | None = None


def rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])


def gram(values: np.ndarray) -> np.ndarray:
    return sum(np.outer(row, row) for row in rows(values)) / len(rows(values))


def along(row: np.ndarray, vector: np.ndarray, power: float) -> float:
    cosine = row @ vector / np.sqrt((row**2).sum() * (vector**2).sum())
    return float(row @ vector) * max(0.1, cosine) ** power


def direction(name: str, power: float) -> Callable[[Values], float]:
    return lambda values: float(np.mean([along(row, VECTOR, power) for row in rows(values[name])]))


def caricature(values: Values, names: tuple[str, ...], power: float) -> float:
    scores = []
    for name in names:
        a, r = values[name].ravel(), REFERENCES[name].ravel()
        scores.append(along(a, r, power) / (r @ r))
    return float(np.mean(scores))


def distance(a: np.ndarray, r: np.ndarray) -> float:
    return float(((a - r) ** 2).sum() / (r**2).sum())


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


MEAN, DEVIATION = np.linspace(-1, 1, CHANNELS), np.linspace(0.5, 2, CHANNELS)
NAMES = ("map", "tokens")

TABLE: dict[str, Entry] = {
    "channel": Entry(dp.channel("map", 2), lambda v: v["map"][..., 2].mean(), dp.channel("map", 5)),
    "channel of tokens": Entry(dp.channel("tokens", 1), lambda v: v["tokens"][:, 1].mean()),
    "neuron": Entry(dp.neuron("map", 2), lambda v: v["map"][2, 1, 2], dp.neuron("map", 2, (4, 0))),
    "neuron at": Entry(dp.neuron("map", 2, (3, 0)), lambda v: v["map"][3, 0, 2], dp.neuron("map", 0, (3,))),
    "neuron of tokens": Entry(
        dp.neuron("tokens", 2, (5,)), lambda v: v["tokens"][5, 2], dp.neuron("tokens", 2, (6,))
    ),
    "neuron of the central patch": Entry(
        dp.neuron("patches", 2), lambda v: v["patches"][1:].reshape(4, 4, CHANNELS)[2, 2, 2]
    ),
    "neuron of a patch": Entry(
        dp.neuron("patches", 2, (1, -1)),
        lambda v: v["patches"][1:].reshape(4, 4, CHANNELS)[1, 3, 2],
        dp.neuron("patches", 2, (0, 4)),
    ),
    "neuron of tokens without rows": Entry(
        dp.neuron("tokens", 2), lambda v: v["tokens"][3, 2], dp.neuron("tokens", 2, (1, 1))
    ),
    "unit": Entry(dp.unit("units", 4), lambda v: v["units"][4], dp.neuron("units", 4, (0,))),
    "layer": Entry(dp.layer("tokens"), lambda v: (v["tokens"] ** 2).mean()),
    "logit": Entry(dp.logit(6), lambda v: v["output"][6], dp.logit(7)),
    "log probability": Entry(
        dp.log_probability(1), lambda v: np.log(softmax(v["output"])[1]), dp.log_probability(7)
    ),
    "naturalness": Entry(
        naturalness({"map": (MEAN, DEVIATION)}),
        lambda v: (
            -np.mean(
                ((v["map"].mean((0, 1)) - MEAN) / DEVIATION) ** 2
                + (np.sqrt(v["map"].var((0, 1)) + 1e-6) / DEVIATION - 1) ** 2
            )
        ),
        naturalness({"map": (MEAN[1:], DEVIATION[1:])}),
    ),
    "direction": Entry(dp.direction("map", VECTOR), direction("map", 0), dp.direction("output", VECTOR)),
    "direction squared": Entry(dp.direction("map", VECTOR, 2), direction("map", 2)),
    "direction of tokens": Entry(dp.direction("tokens", VECTOR, 0.5), direction("tokens", 0.5)),
    "direction of units": Entry(dp.direction("units", VECTOR, 2), direction("units", 2)),
    "direction neuron": Entry(
        dp.direction_neuron("map", VECTOR, power=2),
        lambda v: along(v["map"][2, 1], VECTOR, 2),
        dp.direction_neuron("map", VECTOR, (0, 3)),
    ),
    "direction neuron at": Entry(
        dp.direction_neuron("tokens", VECTOR, (0,), power=1), lambda v: along(v["tokens"][0], VECTOR, 1)
    ),
    "weights": Entry(
        dp.activation_weights("map", VECTOR),
        lambda v: (rows(v["map"]) @ VECTOR).mean(),
        dp.activation_weights("output", VECTOR),
    ),
    "weights in a mask": Entry(
        dp.activation_weights("map", VECTOR, MASK),
        lambda v: (v["map"] @ VECTOR * MASK).sum() / MASK.sum(),
        dp.activation_weights("map", VECTOR, MASK[1:]),
    ),
    "caricature": Entry(
        Caricature(NAMES, tuple(REFERENCES[name] for name in NAMES), 2.0),
        lambda v: caricature(v, NAMES, 2),
        Caricature(("map",), (REFERENCES["tokens"],), 2.0),
    ),
    "target": Entry(
        dp.target(REFERENCES),
        lambda v: -np.mean([distance(v[name], REFERENCES[name]) for name in SHAPES]),
        dp.target({"units": np.ones(3)}),
    ),
    "style": Entry(
        Style(NAMES, tuple(gram(REFERENCES[name]) for name in NAMES)),
        lambda v: -np.mean([distance(gram(v[name]), gram(REFERENCES[name])) for name in NAMES]),
        Style(("output",), (np.eye(CHANNELS),)),
    ),
    "sum": Entry(
        2 * dp.channel("map", 1) - dp.logit(0) * dp.layer("units") + 1.5,
        lambda v: 2 * v["map"][..., 1].mean() - v["output"][0] * (v["units"] ** 2).mean() + 1.5,
        dp.channel("map", 1) + dp.logit(9),
    ),
}


def mean_cosine(grams: list[np.ndarray], i: int) -> float:
    units = [g.ravel() / np.linalg.norm(g) for g in grams]
    return float(np.mean([units[i] @ units[j] for j in range(len(grams)) if j != i]))


def apart(values: np.ndarray, i: int, decay: float) -> float:
    """Half of what picture i pays for each of its neighbours."""
    others = [j for j in range(len(values)) if 0 < abs(i - j) <= 4]
    return sum(((values[i] - values[j]) ** 2).mean() / decay ** abs(i - j) for j in others) / 2


class Group(NamedTuple):
    """A joint objective, and the score in NumPy of picture i of a group."""

    objective: Objective
    twin: Callable[[Any, int], float]


JOINT: dict[str, Group] = {
    "diversity": Group(dp.diversity("map"), lambda v, i: -mean_cosine([gram(a) for a in v["map"]], i)),
    "diversity of tokens": Group(
        dp.diversity("tokens"), lambda v, i: -mean_cosine([gram(a) for a in v["tokens"]], i)
    ),
    "alignment": Group(dp.alignment("map"), lambda v, i: -apart(v["map"], i, 2.0)),
    "alignment of units": Group(dp.alignment("units", 3.0), lambda v, i: -apart(v["units"], i, 3.0)),
    "interpolate": Group(
        dp.interpolate(dp.logit(1), 3 * dp.channel("map", 0)),
        lambda v, i: (
            (1 - i / (len(v["map"]) - 1)) * v["output"][i, 1]
            + i / (len(v["map"]) - 1) * 3 * v["map"][i, ..., 0].mean()
        ),
    ),
    "channel and diversity": Group(
        dp.channel("map", 2) + 10 * dp.diversity("units") - 1.0,
        lambda v, i: v["map"][i, ..., 2].mean() - 10 * mean_cosine([gram(a) for a in v["units"]], i) - 1,
    ),
}
