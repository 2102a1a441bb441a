"""A catalogue of wrong rules, each beside its right twin: what people get wrong when they derive a backward formula.

Every entry is small, plausible and, in some respect, right: most return the right value. `caught_by` names the check
that must fail; others may fail with it. The right twin differs in the fault alone, and must pass every check.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from diffprog.rules.core.anatomy import Backward, operation

AUTODIFF = "gradient against autodiff"
SHAPES = "shape and type of gradients"
VALUE = "value while differentiating"
SECOND = "second order, forward over reverse"


class Wrong(NamedTuple):
    """A wrong rule, its right twin, and the plain function that both compute."""

    name: str
    caught_by: str
    wrong: Callable[..., Any]
    right: Callable[..., Any]
    reference: Callable[..., Any]
    args: tuple[Any, ...]
    orders: int = 2


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


def ruled(
    forward: Callable[..., Any], *pulls: Callable[..., Any] | None, push: Any = None
) -> Callable[..., Any]:
    """An operation whose formulas are `(*inputs, x_out, g_out) -> g_in`."""

    def formula(pull: Any) -> Any:
        return pull and (lambda saved, g: pull(*saved, g))

    def save(inputs: Any, x_out: Any, _: Any) -> Any:
        return (*inputs, x_out)

    return operation("ruled", forward, *(p and Backward(save, formula(p), formula(push)) for p in pulls))


def vjp_only(forward: Any, fwd: Any, bwd: Any) -> Callable[..., Any]:
    """A plain `jax.custom_vjp`, as users write them."""
    rule = jax.custom_vjp(lambda *inputs: forward(*inputs))
    rule.defvjp(fwd, bwd)
    return rule


# ---- functions of one number ----------------------------------------------------------------------------------

TANH = (jnp.tanh, (draw(4, 3),))
tanh = ruled(jnp.tanh, lambda x, y, g: g * (1 - y * y))
tanh_vjp = vjp_only(jnp.tanh, lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (g * (1 - y * y),))


def _double(factor: float, primal: float) -> Callable[..., Any]:
    return vjp_only(lambda x: 2 * x, lambda x: (primal * x, None), lambda _, g: (factor * g,))


def _extra(factor: float) -> Callable[..., Any]:
    backward = Backward(lambda i, y, extra: extra, lambda y, g: g * (1 - y * y))
    return operation("tanh", jnp.tanh, backward, extra=lambda x: (factor * jnp.tanh(x), jnp.tanh(x)))


def _cube(slope: Callable[..., Any]) -> Callable[..., Any]:
    """x^3, whose derivative 3 x^2 has a derivative of its own: `slope`."""
    derivative = jax.custom_jvp(lambda x: 3 * x * x)
    derivative.defjvp(lambda x, x_dot: (derivative(*x), slope(*x) * x_dot[0]))
    return ruled(lambda x: x * x * x, lambda x, y, g: g * derivative(x))


def _sinc(x: Any, y: Any, g: Any) -> Any:
    return g * (x * jnp.cos(x) - jnp.sin(x)) / (x * x)


def _safe_sinc(x: Any, y: Any, g: Any) -> Any:
    away = jnp.where(x == 0, 1.0, x)
    return jnp.where(x == 0, 0.0 * g, _sinc(away, y, g))


def _positive(*shape: int) -> np.ndarray:
    return 0.1 + np.abs(draw(*shape))


def _stale() -> Callable[..., Any]:
    """Keeps the first values it ever saw, outside the program."""
    kept: dict[Any, Any] = {}

    def remember(y: Any) -> Any:
        return kept.setdefault((y.shape, y.dtype.name), np.asarray(y))

    def first(x: Any) -> Any:
        y = jnp.tanh(x)
        shape = jax.ShapeDtypeStruct(y.shape, y.dtype)
        return y, jax.pure_callback(remember, shape, y, vmap_method="sequential")

    return vjp_only(jnp.tanh, first, lambda y, g: (g * (1 - y * y),))


def _batched_wrongly() -> Callable[..., Any]:
    @jax.custom_batching.custom_vmap
    def slope(y: Any, g: Any) -> Any:
        return g * (1 - y * y)

    @slope.def_vmap
    def over_batch(size: int, batched: Any, y: Any, g: Any) -> Any:
        y, g = (
            a if b else jnp.broadcast_to(a, (size, *a.shape)) for a, b in zip((y, g), batched, strict=True)
        )
        return g * (1 - jnp.square(y[:1])), True

    return vjp_only(jnp.tanh, lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (slope(y, g),))


def _concrete_only(y: Any, g: Any) -> tuple[Any]:
    return (g * (1 - y * y) if isinstance(g, jax.core.Tracer) else g * (1 - y),)


def _first_argument_alone(wrong: bool) -> Callable[..., Any]:
    product = jax.custom_jvp(lambda x, y: x * y)

    def jvp(inputs: Any, tangents: Any) -> Any:
        (x, y), (x_dot, y_dot) = inputs, tangents
        still = [isinstance(t, jax.custom_derivatives.SymbolicZero) for t in tangents]
        total = jnp.zeros_like(x)
        if not still[0]:
            total += x_dot if wrong and still[1] else x_dot * y
        if not still[1]:
            total += x * y_dot
        return x * y, total

    product.defjvp(jvp, symbolic_zeros=True)
    return product


POINTWISE = (
    Wrong("sign", AUTODIFF, ruled(jnp.tanh, lambda x, y, g: -g * (1 - y * y)), tanh, *TANH),
    Wrong("0.1 % off", AUTODIFF, ruled(jnp.tanh, lambda x, y, g: 1.001 * g * (1 - y * y)), tanh, *TANH),
    Wrong("input where the output belongs", AUTODIFF, ruled(jnp.tanh, lambda x, y, g: g * (1 - x * x)), tanh, *TANH),
    Wrong("value off in the sixth digit", "value", lambda x: tanh(x) * (1 + 1e-6), tanh, *TANH),
    Wrong(
        "missing factor", AUTODIFF, ruled(lambda x: x * x, lambda x, y, g: g * x),
        ruled(lambda x: x * x, lambda x, y, g: 2 * g * x), jnp.square, (draw(3, 2),),
    ),
    Wrong(
        "exponent one too high", AUTODIFF, ruled(lambda x: x**2.5, lambda x, y, g: 2.5 * g * x**2.5),
        ruled(lambda x: x**2.5, lambda x, y, g: 2.5 * g * x**1.5), lambda x: x**2.5, (_positive(5),),
    ),
    Wrong(
        "wrong for negative inputs only", "other points", ruled(jnp.abs, lambda x, y, g: g),
        ruled(jnp.abs, lambda x, y, g: g * jnp.sign(x)), jnp.abs, (_positive(4),),
    ),
    Wrong(
        "clip boundary at 1.5 instead of 1", AUTODIFF,
        ruled(lambda x: jnp.clip(x, -1, 1), lambda x, y, g: jnp.where(jnp.abs(x) < 1.5, g, 0)),
        ruled(lambda x: jnp.clip(x, -1, 1), lambda x, y, g: jnp.where(jnp.abs(x) < 1, g, 0)),
        lambda x: jnp.clip(x, -1, 1), (np.linspace(-2, 2, 12),),
    ),
    Wrong(
        "NaN at zero", "finite", ruled(lambda x: jnp.sinc(x / jnp.pi), _sinc),
        ruled(lambda x: jnp.sinc(x / jnp.pi), _safe_sinc), lambda x: jnp.sinc(x / jnp.pi), (draw(4),), 1,
    ),
    Wrong(
        "NaN where it saturates", "finite",
        ruled(jax.nn.softplus, lambda x, y, g: g * jnp.exp(x) / (1 + jnp.exp(x))),
        ruled(jax.nn.softplus, lambda x, y, g: g * jax.nn.sigmoid(x)), jax.nn.softplus, (draw(4),),
    ),
    Wrong(
        "drops NaN", "NaN and infinity",
        ruled(lambda x: jnp.where(x > 0, x, 0), lambda x, y, g: jnp.where(x > 0, g, 0)),
        ruled(lambda x: jnp.maximum(x, 0), lambda x, y, g: jnp.where(x > 0, g, 0)), jax.nn.relu, (draw(5),),
    ),
    Wrong("wrong value in the forward pass", VALUE, _double(2.0, 3.0), _double(2.0, 2.0), lambda x: 2 * x, (draw(3),)),
    Wrong("wrong value beside what is saved", VALUE, _extra(1.01), _extra(1.0), *TANH),
    Wrong(
        "clips its cotangent", "linear in the cotangent",
        vjp_only(jnp.tanh, lambda x: (jnp.tanh(x),) * 2, lambda y, g: (jnp.clip(g, -99, 99) * (1 - y * y),)),
        tanh_vjp, *TANH,
    ),
    Wrong(
        "square of its cotangent", "linear in the cotangent",
        vjp_only(jnp.tanh, lambda x: (jnp.tanh(x),) * 2, lambda y, g: (g * g * (1 - y * y),)), tanh_vjp, *TANH,
    ),
    Wrong(
        "constant added", "linear in the cotangent",
        vjp_only(jnp.tanh, lambda x: (jnp.tanh(x),) * 2, lambda y, g: (g * (1 - y * y) + 1e-6,)), tanh_vjp, *TANH,
    ),
    Wrong(
        "saved value is constant", SECOND,
        ruled(jnp.tanh, lambda x, y, g: g * (1 - lax.stop_gradient(y) ** 2)), tanh, *TANH,
    ),
    Wrong(
        "cotangent is constant", SECOND,
        vjp_only(jnp.tanh, lambda x: (jnp.tanh(x),) * 2, lambda y, g: (lax.stop_gradient(g) * (1 - y * y),)),
        tanh_vjp, *TANH,
    ),
    Wrong(
        "second derivative is constant", "third order", _cube(lambda x: lax.stop_gradient(6 * x)),
        _cube(lambda x: 6 * x), lambda x: x**3, (draw(3),), 3,
    ),
    Wrong(
        "push is not the transpose of pull", "push is the transpose of pull",
        ruled(jnp.tanh, lambda x, y, g: g * (1 - y * y), push=lambda x, y, x_dot: 2 * x_dot * (1 - y * y)),
        ruled(jnp.tanh, lambda x, y, g: g * (1 - y * y), push=lambda x, y, x_dot: x_dot * (1 - y * y)), *TANH,
    ),
    Wrong(
        "float32 for float64", AUTODIFF,
        ruled(jnp.tanh, lambda x, y, g: (g.astype(jnp.float32) * (1 - y * y).astype(jnp.float32)).astype(g.dtype)),
        tanh, *TANH,
    ),
    Wrong(
        "gradient of another type", SHAPES,
        vjp_only(jnp.tanh, lambda x: (jnp.tanh(x),) * 2, lambda y, g: ((g * (1 - y * y)).astype(jnp.float32),)),
        tanh_vjp, *TANH,
    ),
    Wrong(
        "float32 constant in bfloat16", "bfloat16",
        ruled(lambda x: 0.3 * x, lambda x, y, g: jnp.float32(0.3) * g),
        ruled(lambda x: 0.3 * x, lambda x, y, g: 0.3 * g), lambda x: 0.3 * x, (draw(5),),
    ),
    Wrong("saved by an earlier call", "other points", _stale(), tanh, *TANH),
    Wrong("wrong under vmap only", "vmap", _batched_wrongly(), tanh, *TANH),
    Wrong(
        "wrong in eager mode only", "jit equals eager",
        vjp_only(jnp.tanh, lambda x: (jnp.tanh(x),) * 2, _concrete_only), tanh_vjp, *TANH,
    ),
    Wrong(
        "wrong for large arrays only", AUTODIFF,
        ruled(jnp.tanh, lambda x, y, g: (g * (1 - y * y)).at[1024:].set(0)), tanh, jnp.tanh, (draw(1030),),
    ),
)  # fmt: skip


# ---- several inputs, sums and shapes --------------------------------------------------------------------------

MATRICES = (draw(4, 3), draw(3, 3, seed=1))


def _matmul(g_x: Callable[..., Any], g_W: Callable[..., Any]) -> Callable[..., Any]:
    return ruled(lambda x, W: x @ W, g_x, g_W)


def _right_gx(x: Any, W: Any, y: Any, g: Any) -> Any:
    return g @ W.T


def _right_gW(x: Any, W: Any, y: Any, g: Any) -> Any:
    return x.T @ g


matmul = _matmul(_right_gx, _right_gW)


def _bias(g_b: Callable[..., Any]) -> Callable[..., Any]:
    return ruled(lambda x, b: x + b, lambda x, b, y, g: g, lambda x, b, y, g: g_b(g))


BIAS = (_bias(lambda g: g.sum(0)), lambda x, b: x + b, (draw(4, 3), draw(3, seed=1)))


def _product(g_x: Callable[..., Any], g_y: Callable[..., Any]) -> Callable[..., Any]:
    return ruled(lambda x, y: x * y, lambda x, y, _, g: g_x(x, y, g), lambda x, y, _, g: g_y(x, y, g))


product = _product(lambda x, y, g: g * y, lambda x, y, g: g * x)
PAIR = (draw(3, 2), draw(3, 2, seed=1))


def _outer(g_x: Callable[..., Any]) -> Callable[..., Any]:
    return _product(lambda x, y, g: g_x(g * y), lambda x, y, g: (g * x).sum(0, keepdims=True))


def _residual(through: float) -> Callable[..., Any]:
    return ruled(lambda x: x + jnp.tanh(x), lambda x, y, g: g * (1 - (y - x) ** 2) + through * g)


def _select(swapped: bool) -> Callable[..., Any]:
    def gradient(first: bool) -> Any:
        return lambda m, x, y, _, g: jnp.where(m if first != swapped else ~m, g, 0)

    return ruled(jnp.where, None, gradient(True), gradient(False))


def _concatenate(swapped: bool) -> Callable[..., Any]:
    parts = [lambda x, y, _, g: g[:3], lambda x, y, _, g: g[3:]]
    return ruled(lambda x, y: jnp.concatenate([x, y]), *(parts[::-1] if swapped else parts))


def _embedding(add: bool) -> Callable[..., Any]:
    def g_table(ids: Any, table: Any, y: Any, g: Any) -> Any:
        zeros = jnp.zeros_like(table)
        return zeros.at[ids].add(g) if add else zeros.at[ids].set(g)

    return ruled(lambda ids, table: table[ids], None, g_table)


def _scale(pull: Callable[..., Any]) -> Callable[..., Any]:
    return vjp_only(
        lambda x, s: s * x, lambda x, s: (s * x, (x, s)), lambda saved, g: (g * saved[1], pull(*saved, g))
    )


def _layer_norm(x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-3)


def _norm_pull(x: Any, y: Any, g: Any, project: bool = True) -> Any:
    scale = jnp.sqrt(x.var(-1, keepdims=True) + 1e-3)
    inner = y * (g * y).mean(-1, keepdims=True) if project else 0
    return (g - g.mean(-1, keepdims=True) - inner) / scale


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def _cross_entropy_pull(logits: Any, labels: Any, y: Any, g: Any, per: int = 4) -> Any:
    return g * (jax.nn.softmax(logits) - jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)) / per


SHAPED = (
    Wrong("transpose forgotten", AUTODIFF, _matmul(lambda x, W, y, g: g @ W, _right_gW), matmul, jnp.matmul, MATRICES),
    Wrong(
        "a weight gradient of zero", AUTODIFF, _matmul(_right_gx, lambda x, W, y, g: jnp.zeros_like(W)),
        matmul, jnp.matmul, MATRICES,
    ),
    Wrong("sum over the batch forgotten", AUTODIFF, _bias(lambda g: g[0]), *BIAS),
    Wrong("mean instead of sum", AUTODIFF, _bias(lambda g: g.mean(0)), *BIAS),
    Wrong("gradient without the sum, of another shape", SHAPES, _scale(lambda x, s, g: g * x),
          _scale(lambda x, s, g: (g * x).sum()), lambda x, s: s * x, (draw(4), np.float64(1.5))),
    Wrong(
        "gradients of the two inputs swapped", AUTODIFF,
        _product(lambda x, y, g: g * x, lambda x, y, g: g * y), product, jnp.multiply, PAIR,
    ),
    Wrong(
        "wrong where only one gradient is asked for", "one argument at a time", _first_argument_alone(True),
        _first_argument_alone(False), jnp.multiply, PAIR,
    ),
    Wrong(
        "sum over the wrong broadcast axis", AUTODIFF, _outer(lambda g: g.sum(0, keepdims=True).T),
        _outer(lambda g: g.sum(1, keepdims=True)), jnp.multiply, (draw(3, 1), draw(1, 3)),
    ),
    Wrong(
        "permutation instead of its inverse", AUTODIFF,
        ruled(lambda x: x.transpose(1, 2, 0), lambda x, y, g: g.transpose(1, 2, 0)),
        ruled(lambda x: x.transpose(1, 2, 0), lambda x, y, g: g.transpose(2, 0, 1)),
        lambda x: x.transpose(1, 2, 0), (draw(2, 2, 2),),
    ),
    Wrong(
        "flip forgotten", AUTODIFF, ruled(jnp.flip, lambda x, y, g: g), ruled(jnp.flip, lambda x, y, g: jnp.flip(g)),
        jnp.flip, (draw(5),),
    ),
    Wrong(
        "cumulative sum from the wrong end", AUTODIFF, ruled(jnp.cumsum, lambda x, y, g: jnp.cumsum(g)),
        ruled(jnp.cumsum, lambda x, y, g: jnp.cumsum(g[::-1])[::-1]), jnp.cumsum, (draw(5),),
    ),
    Wrong("detached branch", AUTODIFF, _residual(0.0), _residual(1.0), lambda x: x + jnp.tanh(x), (draw(4),)),
    Wrong(
        "mask the wrong way round", AUTODIFF, _select(True), _select(False), jnp.where,
        (draw(5) > 0, draw(5), draw(5, seed=1)),
    ),
    Wrong(
        "parts in the wrong order", AUTODIFF, _concatenate(True), _concatenate(False),
        lambda x, y: jnp.concatenate([x, y]), (draw(3), draw(3, seed=1)),
    ),
    Wrong(
        "repeated rows overwritten", AUTODIFF, _embedding(False), _embedding(True), lambda ids, table: table[ids],
        (np.array([1, 0, 1, 3]), draw(5, 2)),
    ),
    Wrong(
        "statistics are constant", AUTODIFF, ruled(_layer_norm, partial(_norm_pull, project=False)),
        ruled(_layer_norm, _norm_pull), _layer_norm, (draw(3, 5),),
    ),
    Wrong(
        "softmax without its inner product", AUTODIFF, ruled(jax.nn.softmax, lambda x, y, g: g * y),
        ruled(jax.nn.softmax, lambda x, y, g: y * (g - (g * y).sum(-1, keepdims=True))), jax.nn.softmax, (draw(3, 4),),
    ),
    Wrong(
        "loss of a batch without its mean", AUTODIFF, ruled(_cross_entropy, partial(_cross_entropy_pull, per=1), None),
        ruled(_cross_entropy, _cross_entropy_pull, None), _cross_entropy, (draw(4, 3), np.array([0, 2, 1, 0])),
    ),
)  # fmt: skip


# ---- windows --------------------------------------------------------------------------------------------------

LAYOUT = ("NWC", "WIO", "NWC")


def _conv(stride: int = 1, dilation: int = 1, groups: int = 1, pad: int = 1) -> Callable[..., Any]:
    return partial(
        lax.conv_general_dilated, window_strides=(stride,), padding=((pad, pad),), rhs_dilation=(dilation,),
        dimension_numbers=LAYOUT, feature_group_count=groups,
    )  # fmt: skip


def _convolution(spoil_x: Any = None, spoil_W: Any = None, **geometry: int) -> tuple[Any, Any, Any]:
    """A convolution with its gradients spoiled, with its gradients as they are, and plain."""
    plain = _conv(**geometry)

    def rule(*spoils: Any) -> Callable[..., Any]:
        def pull(number: int, x: Any, W: Any, y: Any, g: Any) -> Any:
            gradient = jax.vjp(plain, x, W)[1](g)[number]
            return spoils[number](gradient) if spoils[number] else gradient

        return ruled(plain, partial(pull, 0), partial(pull, 1))

    return rule(spoil_x, spoil_W), rule(None, None), plain


def _dense(low: int, flip: bool) -> Callable[..., Any]:
    """g_in = conv(g_out, flipped W with its channels swapped), for windows of 3 padded by 1."""

    def g_x(x: Any, W: Any, y: Any, g: Any) -> Any:
        kernel = (jnp.flip(W, 0) if flip else W).swapaxes(1, 2)
        return lax.conv_general_dilated(g, kernel, (1,), ((low, 2 - low),), dimension_numbers=LAYOUT)

    return ruled(_conv(), g_x, lambda x, W, y, g: jax.vjp(_conv(), x, W)[1](g)[1])


PICTURE, KERNEL = draw(2, 7, 4), draw(3, 4, 4, seed=1)


def _windows(x: Any) -> Any:
    return jnp.stack([x[:, 0:-2:2], x[:, 1:-1:2], x[:, 2::2]])  # 3 taps, stride 2


def _max_pool(last: bool = False, overwrite: bool = False) -> Callable[..., Any]:
    def pull(x: Any, y: Any, g: Any) -> Any:
        taps = _windows(x)
        winner = 2 - jnp.argmax(taps[::-1], 0) if last else jnp.argmax(taps, 0)
        total = jnp.zeros_like(x)
        for tap in range(3):
            part = total[:, tap : tap + 2 * g.shape[1] - 1 : 2] * (0 if overwrite else 1)
            total = total.at[:, tap : tap + 2 * g.shape[1] - 1 : 2].set(part + jnp.where(winner == tap, g, 0))
        return total

    return ruled(lambda x: _windows(x).max(0), pull)


def _plain_max_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 1), (1, 2, 1), "VALID")


def _mean_of_neighbours(x: Any, count: Any = None) -> Any:
    total = lax.reduce_window(x, 0.0, lax.add, (3,), (1,), "SAME")
    return total / (
        lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, (3,), (1,), "SAME") if count is None else count
    )


def _mean_pull(x: Any, y: Any, g: Any, count: Any = None) -> Any:
    count = lax.reduce_window(jnp.ones_like(x), 0.0, lax.add, (3,), (1,), "SAME") if count is None else count
    return lax.reduce_window(g / count, 0.0, lax.add, (3,), (1,), "SAME")


def _enlarge(pull: Callable[..., Any]) -> Callable[..., Any]:
    return ruled(lambda x: jnp.repeat(x, 2), lambda x, y, g: pull(g.reshape(-1, 2)))


TIES = np.repeat(np.array([3.0, -1.0, 0.5]), 3).reshape(1, 9, 1)

WINDOWED = (
    Wrong("padding off by one", AUTODIFF, _dense(0, True), _dense(1, True), _conv(), (PICTURE, KERNEL)),
    Wrong("kernel not flipped", AUTODIFF, _dense(1, False), _dense(1, True), _conv(), (PICTURE, KERNEL)),
    Wrong(
        "wrong at stride 2 only", AUTODIFF, *_convolution(lambda g: jnp.roll(g, 1, 1), stride=2), (PICTURE, KERNEL)
    ),
    Wrong(
        "taps of the weight gradient mirrored under dilation", AUTODIFF,
        *_convolution(None, lambda g: jnp.flip(g, 0), dilation=2), (PICTURE, KERNEL),
    ),
    Wrong(
        "groups permuted", AUTODIFF, *_convolution(None, lambda g: jnp.roll(g, 2, 2), groups=2),
        (PICTURE, draw(3, 2, 4, seed=1)),
    ),
    Wrong(
        "last column forgotten", AUTODIFF, *_convolution(lambda g: g.at[:, -1].set(0)), (PICTURE, KERNEL),
    ),
    # At a tie the plain operation's own forward and reverse mode disagree, so there is no second order to compare.
    Wrong("a tie goes to the last", AUTODIFF, _max_pool(last=True), _max_pool(), _plain_max_pool, (TIES,), 1),
    Wrong(
        "overlapping windows overwrite each other", AUTODIFF, _max_pool(overwrite=True), _max_pool(),
        _plain_max_pool, (np.array([0.3, 1.0, 9.0, 2.0, -1.0, 0.5, 8.0, 4.0, 3.0]).reshape(1, 9, 1),),
    ),
    Wrong(
        "padding counted in the mean", AUTODIFF, ruled(_mean_of_neighbours, partial(_mean_pull, count=3)),
        ruled(_mean_of_neighbours, _mean_pull), _mean_of_neighbours, (draw(6),),
    ),
    Wrong(
        "enlarged pixels not summed", AUTODIFF, _enlarge(lambda g: g[:, 0]), _enlarge(lambda g: g.sum(1)),
        lambda x: jnp.repeat(x, 2), (draw(4),),
    ),
)  # fmt: skip

WRONG = POINTWISE + SHAPED + WINDOWED
