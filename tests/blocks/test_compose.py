"""Composition in closed form: chains multiply, branches add, sharing sums, what is frozen stays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import InvalidInput, blocks, rules, trace
from diffprog.blocks.merges import product
from diffprog.optimize import optimize

EXACT = {"rtol": 1e-12, "atol": 1e-12}  # float64, sums of at most ten products of numbers of about 1


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_a_chain_of_linear_maps_is_their_product(x64):
    block = blocks.chain(blocks.linear(4, bias=False), blocks.linear(2, bias=False))
    x, g = normal(0, 5, 3), normal(1, 5, 2)
    params = block.init(jax.random.key(2), x)
    A, B = params["linear"]["kernel"], params["linear_1"]["kernel"]
    y, pull = jax.vjp(block.apply, params, x)
    gradient, g_in = pull(g)
    np.testing.assert_allclose(y, x @ A @ B, **EXACT)
    np.testing.assert_allclose(g_in, g @ B.T @ A.T, **EXACT)
    np.testing.assert_allclose(gradient["linear"]["kernel"], x.T @ g @ B.T, **EXACT)
    np.testing.assert_allclose(gradient["linear_1"]["kernel"], (x @ A).T @ g, **EXACT)


def test_a_residual_adds_the_identity(x64):
    block = blocks.residual(blocks.linear(3, bias=False))
    x, g = normal(0, 5, 3), normal(1, 5, 3)
    params = block.init(jax.random.key(2), x)
    y, pull = jax.vjp(block.apply, params, x)
    np.testing.assert_allclose(y, x @ params["kernel"] + x, **EXACT)
    np.testing.assert_allclose(pull(g)[1], g @ params["kernel"].T + g, **EXACT)


MERGES = {
    "add": (blocks.add, lambda a, b, c: a + b + c),
    "multiply": (blocks.multiply, lambda a, b, c: a * b * c),
    "concatenate": (blocks.concatenate(), lambda a, b, c: jnp.concatenate([a, b, c], -1)),
}


@pytest.mark.parametrize("merge", MERGES)
def test_branches_meet_again(merge, x64):
    block, plain = MERGES[merge]
    program = blocks.chain(
        blocks.branch(blocks.linear(3), blocks.tanh, blocks.residual(blocks.linear(3))), block
    )
    x = normal(0, 4, 3)
    params = program.init(jax.random.key(1), x)
    first, third = params["branch"]["linear"], params["branch"]["residual"]

    def by_hand(x):
        return plain(
            x @ first["kernel"] + first["bias"], jnp.tanh(x), x @ third["kernel"] + third["bias"] + x
        )

    def weighted(f):
        return jax.value_and_grad(lambda x: jnp.sum(jnp.sin(f(x))))(x)

    for got, want in zip(weighted(lambda x: program.apply(params, x)), weighted(by_hand), strict=True):
        np.testing.assert_allclose(got, want, **EXACT)


def test_the_rule_of_the_product_is_proven():
    proof = rules.check_rule(product, jnp.array([1.0, -2.0, 0.5]), jnp.array([3.0, 0.25, -1.0]), quick=True)
    assert proof.ok, proof


def test_a_wrong_rule_of_a_product_would_be_caught():
    wrong = rules.operation(
        "multiply",
        lambda x, y: x * y,
        rules.Backward(lambda inputs, *_: inputs[0], lambda f, g: g * f, lambda f, x_dot: x_dot * f),
        rules.Backward(lambda inputs, *_: inputs[0], lambda f, g: g * f, lambda f, x_dot: x_dot * f),
    )
    assert not rules.check_rule(
        wrong, jnp.array([1.0, -2.0]), jnp.array([3.0, 0.25]), orders=1, quick=True
    ).ok


def test_parallel_gives_every_block_its_own(x64):
    block = blocks.parallel(blocks.linear(2), blocks.tanh)
    x, y = normal(0, 4, 3), normal(1, 4, 5)
    params = block.init(jax.random.key(1), (x, y))
    first, second = block.apply(params, (x, y))
    np.testing.assert_allclose(first, x @ params["linear"]["kernel"], **EXACT)
    np.testing.assert_allclose(second, np.tanh(y), **EXACT)


# ---- sharing ------------------------------------------------------------------------------------------------

# Programs with two or three uses of one layer, wherever in the tree; `use(k)` is the k-th use, all of 3 -> 3 features.
WIRINGS = {
    "in a chain": lambda use: blocks.chain(use(0), blocks.tanh, use(1)),
    "in branches": lambda use: blocks.chain(
        blocks.branch(use(0), blocks.chain(use(1), blocks.tanh)), blocks.multiply
    ),
    "deep inside": lambda use: blocks.chain(
        blocks.residual(blocks.chain(use(0), blocks.tanh)),
        blocks.linear(3),
        blocks.branch(blocks.residual(blocks.chain(blocks.tanh, use(1))), use(2)),
        blocks.add,
    ),
}


def copies(params, uses):
    """The same parameters, with a copy of the shared ones for each use."""
    one = params["shared"]["W"]
    return {**params, "shared": {f"W{k}": one for k in range(uses)}}


@pytest.mark.parametrize("wiring", WIRINGS)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_gradient_of_what_is_shared_is_the_sum_of_the_copies(wiring, seed):
    with jax.enable_x64(True):
        tied = WIRINGS[wiring](lambda k: blocks.shared("W", blocks.linear(3)))
        loose = WIRINGS[wiring](lambda k: blocks.shared(f"W{k}", blocks.linear(3)))
        x = normal(seed, 4, 3)
        params = tied.init(jax.random.key(seed), x)
        uses = len(loose.shared)
        apart = copies(params, uses)
        assert jax.tree.structure(apart) == jax.tree.structure(loose.init(jax.random.key(0), x))
        np.testing.assert_allclose(tied.apply(params, x), loose.apply(apart, x), **EXACT)
        got = jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(tied.apply(p, x)))))(params)["shared"]["W"]
        terms = jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(loose.apply(p, x)))))(apart)["shared"]
        for name in ("kernel", "bias"):
            np.testing.assert_allclose(got[name], sum(term[name] for term in terms.values()), **EXACT)
            assert all(float(jnp.abs(term[name]).max()) > 0 for term in terms.values())


def test_shared_parameters_stay_one_after_training():
    tied = WIRINGS["deep inside"](lambda k: blocks.shared("W", blocks.linear(3)))
    x = normal(0, 8, 3)
    params = tied.init(jax.random.key(0), x)
    run = optimize(
        lambda p, x: jnp.mean((tied.apply(p, x) - 1) ** 2), params, optax.adam(0.03), steps=200, args=(x,)
    )
    assert list(run.value["shared"]) == ["W"]
    assert run.history[-1] < 0.1 * run.history[0]


def test_sharing_inside_what_is_shared_lies_at_the_top_too(x64):
    inner = blocks.shared("inner", blocks.linear(3))
    block = blocks.chain(
        blocks.shared("outer", blocks.chain(inner, blocks.tanh, blocks.linear(3))),
        inner,
        blocks.shared("outer", blocks.chain(inner, blocks.tanh, blocks.linear(3))),
    )
    x = normal(0, 2, 3)
    params = block.init(jax.random.key(0), x)
    assert sorted(params["shared"]) == ["inner", "outer"]
    assert list(params) == ["shared"]
    A, B = params["shared"]["inner"], params["shared"]["outer"]["linear"]

    def outer(x):
        return jnp.tanh(x @ A["kernel"] + A["bias"]) @ B["kernel"] + B["bias"]

    np.testing.assert_allclose(block.apply(params, x), outer(outer(x) @ A["kernel"]), **EXACT)


# ---- frozen -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_params", [False, True])
def test_what_is_frozen_passes_gradients_and_takes_none(given_params, x64):
    body = blocks.linear(3)
    held = body.init(jax.random.key(5), (1, 3))
    block = blocks.chain(
        blocks.linear(3), still=blocks.frozen(body, held if given_params else None), head=blocks.linear(1)
    )
    x = normal(0, 4, 3)
    params = block.init(jax.random.key(0), x)
    gradient = jax.grad(lambda p: jnp.sum(block.apply(p, x) ** 2))(params)
    assert ("still" in params) is not given_params
    assert all(float(jnp.abs(g).max()) == 0 for g in jax.tree.leaves(gradient.get("still", {})))
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves((gradient["linear"], gradient["head"])))


def test_one_use_frozen_leaves_the_gradient_of_the_other(x64):
    use = blocks.shared("W", blocks.linear(3, bias=False))
    block = blocks.chain(blocks.branch(use, blocks.frozen(use)), blocks.add)
    x, g = normal(0, 4, 3), normal(1, 4, 3)
    params = block.init(jax.random.key(0), x)
    gradient = jax.vjp(lambda p: block.apply(p, x), params)[1](g)[0]
    np.testing.assert_allclose(gradient["shared"]["W"]["kernel"], x.T @ g, **EXACT)  # one term, not two


# ---- names, graphs, purity ------------------------------------------------------------------------------------


def test_parts_are_the_layers_of_the_traced_graph():
    block = blocks.chain(
        blocks.convolution(4).named("edges"), blocks.relu, blocks.flatten, head=blocks.linear(2)
    )
    params = block.init(jax.random.key(0), (1, 6, 6, 1))
    graph = trace(lambda x: block.apply(params, x), jnp.zeros((1, 6, 6, 1)))
    assert {"edges", "relu", "head"} <= set(graph.match("*"))


def test_the_same_key_gives_the_same_parameters_and_another_key_others():
    block = blocks.chain(blocks.linear(3), blocks.branch(blocks.linear(2), blocks.linear(2)), blocks.add)
    first, again, other = (block.init(jax.random.key(seed), (1, 4)) for seed in (0, 0, 1))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first, again))
    assert not jnp.allclose(first["linear"]["kernel"], other["linear"]["kernel"])
    assert not jnp.allclose(first["branch"]["linear"]["kernel"], first["branch"]["linear_1"]["kernel"])


def test_a_block_goes_through_jit_vmap_and_second_derivatives(x64):
    block = blocks.chain(
        blocks.convolution(2), blocks.max_pool(), blocks.gelu, blocks.flatten, blocks.linear(2)
    )
    x = normal(0, 3, 4, 4, 1)
    params = block.init(jax.random.key(0), x[:1])
    whole = block.apply(params, x)
    alone = jax.vmap(lambda one: block.apply(params, one[None])[0])(x)
    np.testing.assert_allclose(whole, alone, **EXACT)

    def cost(p):
        return jnp.sum(block.apply(p, x) ** 2)

    v = jax.tree.map(jnp.ones_like, params)
    along = jax.jvp(jax.grad(cost), (params,), (v,))[1]
    h = 1e-5  # the central difference of a gradient of size 10 errs by h^2 and by 1e-15 / h
    ahead, behind = (jax.grad(cost)(jax.tree.map(lambda p, s=s: p + s * h, params)) for s in (1, -1))
    for got, a, b in zip(*map(jax.tree.leaves, (along, ahead, behind)), strict=True):
        np.testing.assert_allclose(got, (a - b) / (2 * h), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: blocks.chain(), "at least one block"),
        (lambda: blocks.chain(jnp.tanh), "plain function"),
        (lambda: blocks.chain(blocks.linear(2).named("a"), a=blocks.linear(2)), "'a' twice"),
        (lambda: blocks.chain(blocks.linear(2).named("a/b")), "slash"),
        (lambda: blocks.chain(shared=blocks.linear(2)), "shared"),
        (lambda: blocks.shared("", blocks.linear(2)), "name ''"),
        (lambda: blocks.shared("a", blocks.shared("a", blocks.linear(2))), "inside itself"),
        (lambda: blocks.residual(blocks.linear(2)).output((1, 3)), "makes (1, 2)"),
        (lambda: blocks.parallel(blocks.tanh, blocks.tanh).output(((1, 2),)), "1 of them for 2"),
        (lambda: blocks.parallel(blocks.tanh).output((1, 2)), "one thing"),
        (
            lambda: blocks.chain(blocks.branch(blocks.linear(2), blocks.linear(3)), blocks.add).output((1, 4)),
            "in add: branches of",
        ),
        (
            lambda: blocks.chain(blocks.branch(blocks.linear(2), blocks.linear(3)), blocks.multiply).output((1, 4)),
            "in multiply: ",
        ),
        (lambda: blocks.chain(body=blocks.chain(blocks.linear(2), last=blocks.convolution(3))).output((1, 4)),
         "in body/last: convolution got"),
        (
            lambda: blocks.chain(
                blocks.shared("W", blocks.linear(2)), blocks.shared("W", blocks.linear(2))
            ).output((1, 3)),
            "'W' shared by",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_where(make, says):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert says in str(caught.value)
