import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from diffprog.errors import InvalidInput
from diffprog.graph import override, overrides, trace
from tests.graph.programs import PROGRAMS, Program
from tests.graph.test_redirect import COTANGENTS, RELU6S, RELUS, ROWS, lucid


def pulled_back(function, x, g):
    return jax.vjp(function, x)[1](g)[0]


# ---- rectifiers: every rule on every spelling ----------------------------------------------------------------


def guided_by_hand(x, g, ceiling):
    return np.where((x > 0) & (x < (ceiling or np.inf)), np.maximum(g, 0), 0)


def deconvnet_by_hand(x, g, ceiling):
    return np.maximum(g, 0)


RECTIFIED = {
    "guided": (overrides.guided, guided_by_hand),
    "deconvnet": (overrides.deconvnet, deconvnet_by_hand),
    "redirected": (overrides.redirected, lucid),
    "a formula": (lambda inputs, x_out, g_out: 2 * g_out + x_out, None),
}
CASES = [
    pytest.param(name, relu, ceiling, id=f"{name}, {spelling}")
    for name in RECTIFIED
    for table, ceiling in ((RELUS, None), (RELU6S, 6.0))
    for spelling, relu in table.items()
]


@pytest.mark.parametrize(("name", "relu", "ceiling"), CASES)
def test_every_rectifier_gets_the_rule_however_it_is_written(name, relu, ceiling):
    rule, by_hand = RECTIFIED[name]
    g, kind = COTANGENTS["mixed"], "relu" if ceiling is None else "relu6"
    overridden = override(relu, {kind: rule})
    np.testing.assert_array_equal(overridden(ROWS), relu(ROWS))
    expected = by_hand(ROWS, g, ceiling) if by_hand else 2 * g + relu(ROWS)
    np.testing.assert_array_equal(pulled_back(overridden, ROWS, g), expected)


@pytest.mark.parametrize("name", RECTIFIED)
def test_jit_vmap_and_grad_go_through(name):
    rule, by_hand = RECTIFIED[name]
    g, stack = COTANGENTS["mixed"], np.stack([ROWS, -ROWS])
    overridden = override(jax.nn.relu, {"relu": rule})
    gradients = jax.jit(jax.vmap(jax.grad(lambda x: (overridden(x) * g).sum())))(stack)
    expected = [by_hand(x, g, None) if by_hand else 2 * g + np.maximum(x, 0) for x in stack]
    np.testing.assert_array_equal(gradients, expected)


def test_forward_mode_passes_where_the_rule_has_it():
    dot = COTANGENTS["mixed"]
    for rule, expected in (
        (overrides.guided, np.where(ROWS > 0, dot, 0)),
        (overrides.deconvnet, dot),
        (overrides.redirected, dot),
    ):
        out, out_dot = jax.jvp(override(jax.nn.relu, rule), (ROWS,), (dot,))
        np.testing.assert_array_equal(out, jax.nn.relu(ROWS))
        np.testing.assert_array_equal(out_dot, expected)


# ---- steps: straight through -----------------------------------------------------------------------------------

STEPS = {
    "round": jnp.round,
    "rint": jnp.rint,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "sign": jnp.sign,
    "x > c": lambda x: (x > 0.5).astype(x.dtype),
    "where": lambda x: jnp.where(x >= 0, 1.0, -1.0),
    "where, the other way round": lambda x: jnp.where(x < 0.5, 0.0, 1.0),
    "one_hot argmax": lambda x: jax.nn.one_hot(jnp.argmax(x, -1), 4),
    "one_hot argmax over another axis": lambda x: jax.nn.one_hot(jnp.argmax(x, 0), 6, axis=0),
    "in a scan": lambda x: lax.scan(lambda c, _: (jnp.round(c), None), x, length=2)[0],
    "in a branch": lambda x: lax.cond(x.sum() < 1e9, jnp.round, jnp.sin, x),
    "in a checkpoint": jax.checkpoint(jnp.round),
    "in a jit": jax.jit(jnp.round),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_gradient_passes_straight_through_steps(step):
    g = COTANGENTS["mixed"]
    overridden = override(step, overrides.straight_through)
    np.testing.assert_array_equal(overridden(ROWS), step(ROWS))
    np.testing.assert_array_equal(pulled_back(overridden, ROWS, g), g)
    np.testing.assert_array_equal(jax.jvp(overridden, (ROWS,), (g,))[1], g)
    np.testing.assert_array_equal(jax.jit(jax.vmap(overridden))(ROWS[None])[0], step(ROWS))
    assert not pulled_back(step, ROWS, g).any()  # as it is, none passes


FALLING = {
    "x < c": lambda x: (x < 0.5).astype(x.dtype),
    "where, upside down": lambda x: jnp.where(x > 0.5, 0.0, 1.0),
    "where, nothing to choose": lambda x: jnp.where(x > 0.5, 1.0, 1.0),
    "one_hot argmin": lambda x: jax.nn.one_hot(jnp.argmin(x, -1), 4),
}


@pytest.mark.parametrize("step", FALLING.values(), ids=FALLING)
def test_a_step_that_falls_gets_no_gradient_of_the_wrong_sign(step):
    with pytest.raises(InvalidInput, match="nothing to override with straight_through"):
        override(step, overrides.straight_through)(ROWS)


def test_a_falling_step_that_is_written_as_one_minus_a_rising_one_passes_the_opposite():
    g = COTANGENTS["mixed"]
    falling = override(lambda x: 1.0 - (x >= 0.5), overrides.straight_through)
    np.testing.assert_array_equal(pulled_back(falling, ROWS, g), -g)


# ---- changed gradients, by operation, name and pattern -----------------------------------------------------------


def twice(x):
    with jax.named_scope("a"):
        x = jnp.sin(x)
    with jax.named_scope("b"):
        return jnp.sin(2 * x)


PLACES = {"sin": 0.25, "a": -0.5, "b": -0.5, "a/sin": -0.5, "?/sin": 0.25, "*/mul": -0.5}


@pytest.mark.parametrize(("where", "factor"), PLACES.items(), ids=PLACES)
def test_operations_are_chosen_by_kind_by_name_and_by_pattern(where, factor):
    plain = jax.grad(twice)(0.3)
    got = jax.grad(override(twice, {where: overrides.reverse(0.5)}))(0.3)
    np.testing.assert_allclose(got, factor * plain, rtol=1e-6)  # float32


@pytest.mark.parametrize("where", ["scan/sin", "scan/*", "cond/branch_1/sin", "checkpoint/sin"])
def test_operations_inside_others_are_called_after_them(where):
    outer = where.split("/")[0]
    function = {
        "scan": lambda x: lax.scan(lambda c, _: (jnp.sin(c), None), x, length=1)[0],
        "cond": lambda x: lax.cond(x < 9, jnp.sin, jnp.cos, x),
        "checkpoint": jax.checkpoint(jnp.sin),
    }[outer]
    assert jax.grad(override(function, {where: overrides.reverse(0.5)}))(0.0) == -0.5


def test_gradients_are_clipped_reversed_and_stopped():
    def slope(rule):
        return jax.grad(lambda x: 50.0 * override(jnp.sin, {"sin": rule})(x).sum())(jnp.zeros(4))

    np.testing.assert_array_equal(slope(overrides.clip(value=2.0)), np.full(4, 2.0))
    np.testing.assert_allclose(slope(overrides.clip(norm=1.0)), np.full(4, 0.5), rtol=1e-6)  # float32
    np.testing.assert_array_equal(slope(overrides.reverse()), np.full(4, -50.0))
    np.testing.assert_array_equal(slope(overrides.stop), np.zeros(4))


def two_relus(x):
    with jax.named_scope("a"):
        h = jax.nn.relu(x) * 1.0
    with jax.named_scope("b"):
        return jax.nn.relu(3.0 - h) * 1.0


@pytest.mark.parametrize(("where", "up", "down"), [("a", 0.0, 1.0), ("b", -1.0, 0.0), ("*", 0.0, 0.0)])
def test_a_guided_part_of_a_function_is_chosen_by_its_scope(where, up, down):
    part = override(two_relus, {where: overrides.guided})
    assert jax.grad(part)(1.0) == up
    assert jax.grad(lambda x: -part(x))(1.0) == down


# ---- overrides on overrides --------------------------------------------------------------------------------------


def test_the_last_rule_for_an_operation_holds():
    g = COTANGENTS["mixed"]
    for relu in RELUS.values():
        first = override(relu, overrides.redirected)
        second = override(first, overrides.deconvnet)
        np.testing.assert_array_equal(second(ROWS), relu(ROWS))
        np.testing.assert_array_equal(pulled_back(second, ROWS, g), deconvnet_by_hand(ROWS, g, None))


@pytest.mark.parametrize("relu", RELU6S.values(), ids=RELU6S)
def test_a_list_of_rules_and_a_graph_are_the_same_as_one_after_the_other(relu):
    rules, g = [overrides.redirected, {"relu6": overrides.guided}], COTANGENTS["mixed"]
    graph = override(trace(relu, ROWS), rules)
    for function in (override(relu, rules), lambda x: graph.run(x)[0]):
        np.testing.assert_array_equal(function(ROWS), relu(ROWS))
        np.testing.assert_array_equal(pulled_back(function, ROWS, g), guided_by_hand(ROWS, g, 6.0))


def test_a_change_of_gradients_stays_under_a_rule_for_something_else():
    function = override(lambda x: jnp.round(jnp.sin(x)), {"sin": overrides.reverse()})
    got = jax.grad(override(function, overrides.straight_through))(0.0)
    assert got == -1.0


# ---- any function ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_default_leaves_values_and_what_has_no_fast_rule(program: Program):
    def total(function, *args):
        return sum(leaf.sum() for leaf in jax.tree.leaves(function(*args)))

    fast = override(program.function)
    got = jax.jit(fast)(*program.args)
    expected = jax.jit(lambda *args: program.function(*args))(*program.args)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    got = jax.grad(lambda args: total(fast, *args))(program.args)
    expected = jax.grad(lambda args: total(program.function, *args))(program.args)
    # one rounding: cotangents of a value used twice may be added in another order
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), got, expected)


class Plain(nn.Module):
    """A network that knows nothing of this package."""

    @nn.compact
    def __call__(self, x, train: bool = False, *, name: str = "none"):
        assert name == "given"
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        x = nn.relu6(nn.Conv(8, (3, 3), strides=2, feature_group_count=8)(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3)(x.mean((1, 2)))


IMAGES = jax.random.normal(jax.random.key(0), (2, 12, 12, 3))
PLAIN = Plain()
PLAIN_PARAMS = PLAIN.init(jax.random.key(1), IMAGES, name="given")


def test_a_flax_network_with_settings_gets_fast_rules_and_the_same_values_and_gradients():
    def cost(apply, params, x):
        return (apply(params, x, False, name="given") ** 2).sum()

    fast = override(PLAIN.apply)
    value = jax.jit(functools.partial(cost, fast))(PLAIN_PARAMS, IMAGES)
    assert value == jax.jit(functools.partial(cost, PLAIN.apply))(PLAIN_PARAMS, IMAGES)
    got, expected = (
        jax.jit(jax.grad(functools.partial(cost, apply), argnums=(0, 1)))(PLAIN_PARAMS, IMAGES)
        for apply in (fast, PLAIN.apply)
    )
    # float32: sums of up to 288 products in another order
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, expected)
    text = jax.jit(jax.grad(functools.partial(cost, fast))).lower(PLAIN_PARAMS, IMAGES).as_text()
    plain = jax.jit(jax.grad(functools.partial(cost, PLAIN.apply))).lower(PLAIN_PARAMS, IMAGES).as_text()
    assert "select_and_scatter" in plain and "select_and_scatter" not in text


# ---- bad input -------------------------------------------------------------------------------------------------

BAD = {
    "no such operation": ({"rond": overrides.straight_through}, "'round'"),
    "nothing of the kind": (overrides.guided, r"guided.*round \(1\).*relu, relu6"),
    "no such name": ({"blocks/*": overrides.reverse()}, r"'blocks/\*'"),
    "not for this operation": ({"round": overrides.guided}, "guided"),
    "a rule that is none": ({"round": 3}, "'round': 3"),
    "rules that are none": (7, "int: 7"),
    "a string": ("round", "str"),
    "a gradient of another shape": ({"round": lambda inputs, x_out, g: g[:1]}, r"\(1, 4\).*\(6, 4\)"),
    "too many gradients": ({"round": lambda inputs, x_out, g: (g, g)}, "one gradient of the shape"),
}


@pytest.mark.parametrize(("rules", "message"), BAD.values(), ids=BAD)
def test_bad_rules_are_refused_in_words(rules, message):
    with pytest.raises(InvalidInput, match=f"(?s){message}"):
        jax.grad(lambda x: override(jnp.round, rules)(x).sum())(ROWS)


def test_clip_needs_one_limit():
    with pytest.raises(InvalidInput, match="exactly one limit"):
        overrides.clip()
    for limit in ({"norm": -1.0}, {"value": 0.0}, {"value": float("nan")}):
        with pytest.raises(InvalidInput, match="positive limit"):
            overrides.clip(**limit)
