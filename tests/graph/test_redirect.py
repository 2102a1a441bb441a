import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diffprog import rules
from diffprog.graph import redirect_relus, trace
from tests.graph.programs import PROGRAMS, W2

ROWS = np.array(
    [
        [1.0, 2.0, -1.0, 0.5],  # alive: some inputs in range
        [-1.0, -2.0, -0.5, -3.0],  # dead
        [-1.0, -2.0, 1.0, -3.0],  # alive in one place only
        [7.0, 8.0, -1.0, -2.0],  # outside of ReLU6 on both sides, alive for ReLU
        [0.0, -1.0, -2.0, -3.0],  # at the kink
        [7.0, 6.0, 9.0, -9.0],
    ],
    np.float32,
)
COTANGENTS = {
    "mixed": np.array([[1.0, -1.0, 2.0, -2.0]] * 6, np.float32),
    "up": np.full((6, 4), -1.0, np.float32),
    "down": np.full((6, 4), 1.0, np.float32),
    "partly zero": np.array([[0.0, -1.0, 0.0, 1.0]] * 6, np.float32),
}


def lucid(x, g, ceiling):
    """Lucid's rule, one example at a time."""
    out = np.zeros_like(g)
    for b in range(len(x)):
        inside = (x[b] >= 0) & (x[b] <= (np.inf if ceiling is None else ceiling))
        plain = np.where(inside, g[b], 0)
        outward = ((x[b] < 0) & (g[b] > 0)) | ((x[b] > (ceiling or np.inf)) & (g[b] < 0))
        out[b] = plain if np.any(plain != 0) else np.where(outward, 0, g[b])
    return out


RELUS = {
    "jax.nn.relu": jax.nn.relu,
    "linen relu": nn.relu,
    "nnx relu": nnx.relu,
    "rules.relu": rules.relu,
    "maximum": lambda x: jnp.maximum(x, 0),
    "zero first": lambda x: jnp.maximum(0.0, x),
    "lax.max": lambda x: jax.lax.max(x, 0.0),
    "array of zeros": lambda x: jnp.maximum(x, jnp.zeros_like(x)),
    "jitted": jax.jit(lambda x: jnp.maximum(x, 0)),
    "where": lambda x: jnp.where(x > 0, x, 0),
    "where not": lambda x: jnp.where(x < 0, 0.0, x),
    "checkpoint": jax.checkpoint(jax.nn.relu),
    "scan": lambda x: jax.lax.scan(lambda c, _: (jax.nn.relu(c), None), x, None, length=1)[0],
    "cond": lambda x: jax.lax.cond(x.sum() < 1e9, jax.nn.relu, jnp.sin, x),
}
SIX = jnp.float32(6)
RELU6S = {
    "jax.nn.relu6": jax.nn.relu6,
    "linen relu6": nn.relu6,
    "rules.relu6": rules.relu6,
    "clip": lambda x: jnp.clip(x, 0, 6),
    "clip by a closed-over number": lambda x: jnp.clip(x, 0, SIX),
    "lax.clamp": lambda x: jax.lax.clamp(0.0, x, 6.0),
    "minimum of maximum": lambda x: jnp.minimum(jnp.maximum(x, 0.0), 6.0),
    "maximum of minimum": lambda x: jnp.maximum(jnp.minimum(x, 6.0), 0.0),
}
CASES = [
    *(pytest.param(relu, None, id=name) for name, relu in RELUS.items()),
    *(pytest.param(relu, 6.0, id=name) for name, relu in RELU6S.items()),
]
every_relu = pytest.mark.parametrize(("relu", "ceiling"), CASES)


def pulled_back(function, x, g):
    return jax.vjp(function, x)[1](g)[0]


@every_relu
@pytest.mark.parametrize("g", COTANGENTS.values(), ids=COTANGENTS)
def test_the_gradient_follows_lucid_s_rule(relu, ceiling, g):
    graph = redirect_relus(trace(relu, ROWS))
    got = pulled_back(lambda x: graph.run(x)[0], ROWS, g)
    np.testing.assert_array_equal(got, lucid(ROWS, g, ceiling))


@every_relu
def test_values_stay_the_same_to_the_last_bit(relu, ceiling):
    graph = trace(relu, ROWS)
    redirected = redirect_relus(graph)
    assert redirected.names == graph.names
    np.testing.assert_array_equal(redirected.run(ROWS, taps="output")[1]["output"], relu(ROWS))


@every_relu
def test_under_jit_grad_and_vmap(relu, ceiling):
    graph = redirect_relus(trace(relu, ROWS))
    stack, g = np.stack([ROWS, -ROWS]), COTANGENTS["mixed"]

    @jax.jit
    def gradients(stack):
        return jax.vmap(jax.grad(lambda x: (graph.run(x)[0] * g).sum()))(stack)

    np.testing.assert_array_equal(gradients(stack), [lucid(x, g, ceiling) for x in stack])


def test_the_reference_tells_the_redirected_from_the_plain_gradient():
    plain = pulled_back(jax.nn.relu, ROWS, COTANGENTS["up"])
    assert [bool(row) for row in (plain != lucid(ROWS, COTANGENTS["up"], None)).any(axis=1)] == [
        *(False, True, False, False),
        *(True, False),  # at the kink Lucid passes the gradient and jax.nn.relu does not
    ]


def test_examples_of_higher_rank_are_told_apart_by_the_first_axis():
    x = ROWS.reshape(6, 2, 1, 2)
    graph = redirect_relus(trace(jax.nn.relu, x))
    g = COTANGENTS["up"]
    got = pulled_back(lambda x: graph.run(x)[0], x, g.reshape(x.shape))
    np.testing.assert_array_equal(got.reshape(6, 4), lucid(ROWS, g, None))


@pytest.mark.parametrize("row", ROWS)
def test_an_array_without_a_batch_is_one_example(row):
    graph = redirect_relus(trace(jax.nn.relu, row))
    got = pulled_back(lambda x: graph.run(x)[0], row, np.full(4, -1.0, np.float32))
    np.testing.assert_array_equal(got, lucid(row[None], np.full((1, 4), -1.0, np.float32), None)[0])


@pytest.mark.parametrize(
    "function",
    [
        jnp.sin,
        lambda x: jnp.maximum(x, 1.0),
        lambda x: jnp.maximum(x, -x),
        lambda x: jnp.minimum(x, 6.0),
        lambda x: jnp.where(x > 0, x, 0.1 * x),
        lambda x: jnp.where(x > 1, x, 0.0),
        jax.nn.leaky_relu,
        jax.nn.softplus,
        PROGRAMS["custom_rules"].function,
    ],
)
def test_other_functions_keep_their_gradient(function):
    graph = redirect_relus(trace(function, ROWS))
    g = COTANGENTS["mixed"]
    np.testing.assert_array_equal(
        pulled_back(lambda x: graph.run(x)[0], ROWS, g), pulled_back(function, ROWS, g)
    )


def test_a_value_used_before_and_after_the_ceiling():
    def function(x):
        y = jnp.maximum(x, 0.0)
        return y + 10.0 * jnp.minimum(y, 6.0)

    graph = redirect_relus(trace(function, ROWS))
    g = COTANGENTS["down"]
    got = pulled_back(lambda x: graph.run(x)[0], ROWS, g)
    np.testing.assert_array_equal(got, lucid(ROWS, g, None) + lucid(ROWS, 10 * g, 6.0))


def test_a_dead_network_gets_a_gradient_with_its_constants_as_arguments():
    def network(x):
        return jax.nn.relu(jax.nn.relu(x @ W2 - 100.0) @ W2 - 100.0)

    x = jnp.ones((2, 4))
    graph = trace(network, x)
    redirected = redirect_relus(graph)

    @jax.jit
    def gradients(consts):
        return [jax.grad(lambda x: -g.run(x, consts=consts)[0].sum())(x) for g in (graph, redirected)]  # noqa: B023

    plain, alive = gradients(graph.consts)
    assert not plain.any()
    assert alive.any()
