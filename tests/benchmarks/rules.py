"""Every rule against JAX's own autodiff, and PyTorch where it has the operation.

    python -m tests.benchmarks.rules [PART OF A NAME] [--keep MACHINE]

`--keep "what machine this is"` writes the ratios to `diffprog/rules/data/measured.json`, which `diffprog rules` and
the docs print. Medians of interleaved calls in one process, float32. "backward" and "gradient" are the backward pass
alone: what the forward pass saved is an argument. "both ways" is forward and backward in one program: where a rule
saves less than autodiff and computes more, that is what one pays. Ratios above 1 are in favour of the rule; where both
compile to the same program, the ratio is 1 and what was timed is noise. Memory is kept (`diffprog.tune`) for all
alike, PyTorch too: otherwise large arrays would be a comparison of page faults.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from diffprog import rules, tune
from diffprog.rules.book import find
from diffprog.rules.sampling import affine as resample
from tests.benchmarks.timing import milliseconds

Call = Callable[[], Any]
NHWC = ("NHWC", "HWIO", "NHWC")
REPEATS = 41  # pointwise rules take a millisecond: with 15 repeats their ratios vary by a tenth
KEPT = Path(rules.__file__).parent / "data/measured.json"


class Row(NamedTuple):
    """One comparison: the same function twice, its arguments, and which gradient is timed (None: forward).

    `least` is the ratio that is wanted; `compile_plain` is False where the calls themselves are compared;
    `both_ways` times forward and backward together.
    """

    rule: str
    name: str
    hand: Callable[..., Any]
    plain: Callable[..., Any]
    args: tuple[Any, ...]
    gradient: int | None
    torch: Callable[..., Any] | None = None
    least: float = 0.97
    compile_plain: bool = True
    both_ways: bool = False


def main() -> None:
    """Print one line for every row, and keep the ratios if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="")
    parser.add_argument("--keep", metavar="MACHINE")
    options = parser.parse_args()
    tune()
    wanted = [row for row in rows() if options.part in f"{row.rule}: {row.name}"]
    kept = [measure(row) for row in wanted]
    if options.keep:
        data = {"machine": f"{options.keep}; jax {jax.__version__}", "rows": kept}
        KEPT.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def measure(row: Row) -> dict[str, Any]:
    """Time one row, print it, and return what is kept of it."""
    found = calls(row)
    same = found["hand"].same_as(found["plain"])
    times = milliseconds(found, REPEATS)
    ratios = {name: times[name] / times["hand"] for name in times if name != "hand"}
    if same:
        ratios["plain"] = 1.0
    verdict = "" if ratios["plain"] >= row.least else f"   BELOW {row.least}"
    cells = "  ".join(f"{name} {ms:8.3f}" for name, ms in times.items())
    ahead = "  ".join(f"{name}/hand {ratio:6.2f}" for name, ratio in ratios.items())
    note = "   the same program" if same else ""
    print(f"{row.rule + ': ' + row.name:<84} {cells}   {ahead}{note}{verdict}", flush=True)
    torch = round(ratios["torch"], 2) if "torch" in ratios else None
    return {"rule": row.rule, "what": row.name, "plain": round(ratios["plain"], 2), "torch": torch}


class Timed:
    """What is timed, and the program it runs, if it is one."""

    def __init__(self, call: Call, program: str = ""):
        self.call, self.program = call, program

    def __call__(self) -> Any:
        return self.call()

    def same_as(self, other: Timed) -> bool:
        """Whether both are one and the same compiled program."""
        return bool(self.program) and self.program == other.program


def calls(row: Row) -> dict[str, Timed]:
    """What is timed for a row."""
    found = {"hand": compiled(row.hand, row)}
    found["plain"] = compiled(row.plain, row) if row.compile_plain else Timed(lambda: row.plain(*row.args))
    if row.torch is not None and (torch := in_pytorch(row)) is not None:
        found["torch"] = Timed(torch)
    return found


def compiled(function: Callable[..., Any], row: Row) -> Timed:
    """The forward pass, the backward pass alone, or both, as a compiled call."""
    if row.gradient is None:
        return program(function, *row.args)

    def along(x: Any) -> Any:
        return function(*row.args[: row.gradient], x, *row.args[row.gradient + 1 :])

    def both(x: Any, g: Any) -> Any:
        out, pull = jax.vjp(along, x)
        return out, pull(g)

    x = row.args[row.gradient]
    out = jax.eval_shape(along, x)
    cotangent = jax.tree.map(lambda y: jax.random.normal(jax.random.key(1), y.shape, y.dtype), out)
    if row.both_ways:
        return program(both, x, cotangent)
    _, pull = jax.jit(lambda x: jax.vjp(along, x))(x)
    return program(lambda pull, g: pull(g), pull, cotangent)


def program(function: Callable[..., Any], *args: Any) -> Timed:
    """A compiled call, and its program without the names and lines it was written under."""
    jitted = jax.jit(function)
    text = jitted.lower(*args).compile().as_text() or ""
    text = re.sub(
        r"^(HloModule|FileNames|FunctionNames|FileLocations|StackFrames|\d+ ).*\n", "", text, flags=re.M
    )
    text = re.sub(r", (metadata|frontend_attributes)=\{[^}]*\}", "", text)
    names: dict[str, str] = {}
    return Timed(
        lambda: jitted(*args),
        re.sub(r"%[\w.-]+", lambda found: names.setdefault(found[0], f"%{len(names)}"), text),
    )


def in_pytorch(row: Row) -> Call | None:
    """PyTorch's backward pass alone, channels last; None if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    assert row.torch is not None
    args = [from_numpy(torch, np.asarray(arg)) for arg in row.args]
    if row.gradient is None:
        with torch.no_grad():
            return lambda: row.torch(torch, *args)
    args[row.gradient].requires_grad_()
    out = row.torch(torch, *args)
    cotangent = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, args[row.gradient], cotangent, retain_graph=True)


def from_numpy(torch: Any, array: np.ndarray) -> Any:
    """NHWC pictures as NCHW with channels last in memory, HWIO kernels as OIHW, the rest as it is."""
    tensor = torch.from_numpy(array.copy())
    if tensor.ndim != 4:
        return tensor
    kernel = tensor.shape[0] == tensor.shape[1] < 14
    moved = tensor.permute(3, 2, 0, 1) if kernel else tensor.permute(0, 3, 1, 2)
    return moved.contiguous(memory_format=torch.channels_last)


def draw(*shape: int, seed: int = 0) -> jax.Array:
    """Normal numbers."""
    return jax.random.normal(jax.random.key(seed), shape)


def rows() -> Iterator[Row]:
    """The table of the rule book."""
    yield from pools()
    yield from depthwise()
    yield from dense()
    yield from transposed()
    yield from others()
    yield from booked()
    yield from loops()


def pools() -> Iterator[Row]:
    """Pooling, backward."""
    for shape, window, least in (
        ((1, 112, 112, 64), 3, 20), ((8, 112, 112, 64), 3, 20), ((1, 55, 55, 128), 3, 20),
        ((64, 28, 28, 32), 2, 37), ((8, 112, 112, 64), 2, 37),
    ):  # fmt: skip
        sizes = (window, window), (2, 2)
        yield Row(
            "max pooling",
            f"{window}x{window} stride 2, {list(shape)}, backward",
            partial(rules.max_pool, window_shape=sizes[0], strides=sizes[1]),
            partial(nn.max_pool, window_shape=sizes[0], strides=sizes[1]),
            (draw(*shape),), 0,
            lambda torch, x, window=window: torch.nn.functional.max_pool2d(x, window, 2), least,
        )  # fmt: skip
    for shape, window, least in (((1, 56, 56, 64), 3, 8), ((1, 112, 112, 64), 2, 0.97)):
        yield Row(
            "average pooling",
            f"{window}x{window} stride 2, {list(shape)}, backward",
            partial(rules.avg_pool, window_shape=(window,) * 2, strides=(2, 2)),
            partial(nn.avg_pool, window_shape=(window,) * 2, strides=(2, 2)),
            (draw(*shape),), 0,
            lambda torch, x, window=window: torch.nn.functional.avg_pool2d(x, window, 2), least,
        )  # fmt: skip


def convolution(function: Callable[..., Any], stride: int, groups: int = 1, padding: Any = "SAME") -> Any:
    """`(pictures, kernel) -> pictures`."""
    return lambda x, W: function(
        x, W, (stride, stride), padding, dimension_numbers=NHWC, feature_group_count=groups
    )


def torch_convolution(stride: int, size: int, groups: int = 1) -> Any:
    """The same in PyTorch, padded on both sides alike: the same work, not always the same positions."""
    return lambda torch, x, W: torch.nn.functional.conv2d(x, W, None, stride, size // 2, groups=groups)


def convolution_row(
    what: str,
    shape: tuple[int, ...],
    features: int,
    size: int,
    stride: int,
    groups: int,
    gradient: int | None,
    least: float,
) -> Row:
    """One convolution."""
    x, W = draw(*shape), draw(size, size, shape[-1] // groups, features, seed=2)
    direction = {None: "forward", 0: "input gradient", 1: "weight gradient"}[gradient]
    return Row(
        f"convolution, {what}",
        f"{size}x{size} stride {stride}, {list(shape)} -> {features}, {direction}",
        convolution(rules.conv_general_dilated, stride, groups),
        convolution(lax.conv_general_dilated, stride, groups),
        (x, W), gradient, torch_convolution(stride, size, groups), least,
    )  # fmt: skip


def depthwise() -> Iterator[Row]:
    """Depthwise convolutions."""
    for size, channels, window, stride in (
        (112, 32, 3, 1), (112, 96, 3, 2), (56, 144, 5, 2), (28, 240, 5, 1),
        (14, 672, 5, 1), (14, 672, 5, 2), (7, 1152, 5, 1),
    ):  # fmt: skip
        for gradient, least in ((None, 3), (0, 11 if stride == 1 else 30)):
            shape = (1, size, size, channels)
            yield convolution_row("depthwise", shape, channels, window, stride, channels, gradient, least)
    for size, channels, window, stride in (
        (112, 32, 3, 1),
        (112, 96, 3, 2),
        (28, 240, 5, 1),
        (14, 672, 5, 2),
    ):
        shape = (8, size, size, channels)
        yield convolution_row("depthwise", shape, channels, window, stride, channels, 1, 2)


def dense() -> Iterator[Row]:
    """Pointwise, dense and grouped convolutions."""
    for shape, features in (((8, 56, 56, 24), 144), ((8, 14, 14, 80), 480), ((8, 7, 7, 1152), 192)):
        yield convolution_row("1 x 1", shape, features, 1, 1, 1, 1, 3)
        yield convolution_row("1 x 1", shape, features, 1, 1, 1, 0, 0.97)
    for shape, features, window in (
        ((1, 55, 55, 16), 64, 3), ((1, 27, 27, 32), 128, 3), ((1, 13, 13, 64), 256, 3), ((64, 14, 14, 32), 64, 5),
    ):  # fmt: skip
        yield convolution_row("dense", shape, features, window, 1, 1, 0, 0.97)
    for shape, features, window in (
        ((64, 28, 28, 1), 32, 3), ((64, 14, 14, 32), 64, 3), ((64, 14, 14, 32), 64, 5), ((8, 55, 55, 16), 64, 3),
    ):  # fmt: skip
        yield convolution_row("dense", shape, features, window, 1, 1, 1, 0.97)
    for gradient in (None, 0, 1):
        yield convolution_row("grouped", (1, 56, 56, 128), 128, 3, 1, 32, gradient, 2.5)


def transposed() -> Iterator[Row]:
    """Transposed convolutions 4x4 stride 2, as generators have them."""
    for size, inputs, features in ((4, 512, 256), (8, 256, 128), (16, 128, 64), (32, 64, 3)):
        x, W = draw(8, size, size, inputs), draw(4, 4, inputs, features, seed=2)
        hand, plain = (
            partial(f, strides=(2, 2), padding="SAME", dimension_numbers=NHWC)
            for f in (rules.conv_transpose, lax.conv_transpose)
        )
        for gradient, least in ((1, 22.0), (0, 0.97), (None, 0.97)):
            direction = {None: "forward", 0: "input gradient", 1: "weight gradient"}[gradient]
            yield Row("transposed convolution", f"4x4 stride 2, {[8, size, size, inputs]} -> {features}, {direction}",
                      hand, plain, (x, W), gradient, None, least)  # fmt: skip


def plain_batch_norm(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """Batch normalization as one writes it."""
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + bias


def others() -> Iterator[Row]:
    """Normalization and resampling."""
    args = draw(64, 28, 28, 32), draw(32, seed=1), draw(32, seed=2)
    yield Row(
        "batch norm, training",
        "[64, 28, 28, 32], backward",
        rules.batch_norm,
        plain_batch_norm,
        args,
        0,
        None,
        3,
    )
    angle = jnp.deg2rad(jnp.linspace(-20, 20, 8))
    matrices = jnp.stack(
        [jnp.stack([jnp.cos(a), jnp.sin(a), -jnp.sin(a), jnp.cos(a)]).reshape(2, 2) for a in angle]
    )
    shift = jnp.array([10.0, -7.0])
    for count, least in ((1, 2.0), (8, 6.0)):
        images = draw(count, 224, 224, 3)
        hand, itself, plain = (
            lambda images, f=f, m=matrices[:count]: jax.vmap(lambda i, m: f(i, m, shift, (224, 224)))(
                images, m
            )
            for f in (resample.affine, without_rule, resample.reference)
        )
        what = f"224 px, batch {count}, backward"
        yield Row(
            "affine resampling", f"{what}, against its own autodiff", hand, itself, (images,), 0, None, least
        )
        yield Row("affine resampling", f"{what}, against map_coordinates", hand, plain, (images,), 0)


def without_rule(image: jax.Array, matrix: jax.Array, shift: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """The forward pass of `affine`, left to autodiff."""
    return resample._bilinear.__wrapped__(image, jnp.column_stack([matrix, shift]), shape)


def booked() -> Iterator[Row]:
    """Rules whose record has all it takes: against the record's own reference, at the size of a layer."""
    maps, words, rows, image = (8, 56, 56, 64), (8, 128, 768), (4096, 1000), (8, 112, 112, 3)
    pairs = draw(256, 512), draw(256, 512, seed=1)
    heads = tuple(draw(8, 128, 12, 64, seed=seed) for seed in range(3))
    labels = jax.random.randint(jax.random.key(3), (4096,), 0, 1000)
    arguments: dict[str, tuple[Any, ...]] = {
        **{name: (draw(*maps),) for name in (
            "relu", "relu6", "leaky relu", "hard swish", "absolute value", "clip", "tanh", "sigmoid", "softplus",
            "silu", "quick gelu", "gelu", "exp", "square", "power", "global average pooling",
        )},
        **{name: (jnp.abs(draw(*maps)) + 0.1,) for name in ("log", "sqrt")},
        "group norm": (draw(*maps), draw(64), draw(64)),
        "batch norm, frozen": (draw(*maps), *(draw(64, seed=seed) for seed in range(3)), jnp.ones(64)),
        "linear": (draw(1024, 768), draw(768, 768), draw(768)),
        "embedding": (draw(10000, 128), jax.random.randint(jax.random.key(2), (4096,), 0, 10000)),
        "layer norm": (draw(*words), draw(768), draw(768)),
        "RMS norm": (draw(*words), draw(768)),
        "L2 normalization": (draw(*words),),
        "softmax": (draw(*rows),), "log softmax": (draw(*rows),), "log-sum-exp": (draw(*rows),),
        "attention": heads,
        "squared error": (draw(*rows), draw(*rows, seed=1)),
        "Huber": (draw(*rows), draw(*rows, seed=1)),
        "binary cross-entropy": (draw(*rows), jax.nn.sigmoid(draw(*rows, seed=1))),
        "softmax cross-entropy, labels": (draw(*rows), labels),
        "softmax cross-entropy, distributions": (draw(*rows), jax.nn.softmax(draw(*rows, seed=1))),
        "cosine similarity": pairs, "InfoNCE": (*pairs, jnp.float32(5.0)),
        "sigmoid contrastive": (*pairs, jnp.float32(5.0), jnp.float32(-1.0)),
    }  # fmt: skip
    settings: dict[str, dict[str, Any]] = {
        "clip": {"low": -1.0, "high": 1.0}, "power": {"exponent": 3}, "group norm": {"groups": 8},
    }  # fmt: skip
    for name, args in arguments.items():
        rule = find(name)
        hand, plain = (partial(f, **settings.get(name, {})) for f in (rule.function, rule.reference))
        yield Row(name, f"{list(args[0].shape)}, both ways", hand, plain, args, 0, both_ways=True)
    exact = (partial(f, approximate=False) for f in (find("gelu").function, find("gelu").reference))
    yield Row("gelu", f"exact, {list(maps)}, both ways", *exact, (draw(*maps),), 0, both_ways=True)
    for method in ("bilinear", "cubic", "nearest"):
        hand, plain = (
            partial(f, shape=(8, 224, 224, 3), method=method)
            for f in (find("resize").function, find("resize").reference)
        )
        name = "nearest-neighbour resize" if method == "nearest" else "resize"
        yield Row(
            name, f"{method}, {list(image)} -> 224 px, both ways", hand, plain, (draw(*image),), 0, both_ways=True
        )  # fmt: skip


def loops() -> Iterator[Row]:
    """Ten gradient steps on a picture in one `lax.scan`, against the same step jitted alone and called ten times."""
    W = draw(3, 3, 16, 64, seed=2) / 12
    layer = partial(convolution(rules.conv_general_dilated, 1), W=W)

    @jax.jit
    def step(x: jax.Array) -> jax.Array:
        return x - 0.01 * jax.grad(lambda x: jnp.sum(rules.relu(layer(x)) ** 2))(x)

    def scanned(x: jax.Array) -> jax.Array:
        return lax.scan(lambda x, _: (step(x), None), x, None, 10)[0]

    def called(x: jax.Array) -> jax.Array:
        for _ in range(10):
            x = step(x)
        return x

    yield Row(
        "convolution, dense", "10 steps in lax.scan (plain: the jitted step called 10 times), [1, 55, 55, 16] -> 64",
        scanned, called, (draw(1, 55, 55, 16),), None, None, 0.9, False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
