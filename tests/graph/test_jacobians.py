"""Local Jacobians, their products, and the two layouts, by shape and by value, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.graph import backprop
from diffprog.graph.sweeps.layouts import convert

pytestmark = pytest.mark.usefixtures("x64")


def draw(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def network(A, B, x):
    z = A @ x
    h = jnp.tanh(z)
    return B @ (h * h) + jnp.sin(h[:2])


def cost(A, B, x):
    return jnp.sum(network(A, B, x) ** 2)


ARGS = ((3, 4), (2, 3), (4,))


def test_the_product_of_local_jacobians_along_a_chain_is_jax_jacobian():
    """h'(x) = f'(g(x)) g'(x), with shapes [m x p] [p x n]."""
    A, B, x = draw(3, 4), draw(2, 3, seed=1), draw(4, seed=2)
    steps = backprop(lambda x: jnp.sum(B @ jnp.tanh(A @ x)), x)
    path = (("dot_1", "tanh"), ("tanh", 0), ("dot", "x"))
    f, g, h = (steps[name].jacobian(by=by, layout="lecture") for name, by in path)
    assert (f.shape, g.shape, h.shape) == ((2, 3), (3, 3), (3, 4))
    expected = jax.jacobian(lambda x: B @ jnp.tanh(A @ x))(x)
    # float64, three products: a few roundings
    np.testing.assert_allclose(f @ g @ h, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(steps.jacobian("dot_1", "x"), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("by", range(3))
def test_over_branches_and_merges_the_products_are_added(by):
    args = [draw(*shape, seed=k) for k, shape in enumerate(ARGS)]
    steps = backprop(cost, *args)
    name, out = ("A", "B", "x")[by], "add"
    expected = jax.jacobian(network, by)(*args)
    got = steps.jacobian(out, name)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        steps.jacobian("output", name), jax.grad(cost, by)(*args), rtol=1e-12, atol=1e-14
    )


def test_a_pointwise_function_has_a_diagonal_jacobian():
    z = draw(4)
    H = backprop(lambda z: jnp.sum(jax.nn.relu(z)), z)["relu"].jacobian(layout="lecture")
    np.testing.assert_array_equal(H, np.diag((z > 0).astype(float)))


LAYOUTS = {  # of, by, the lecture's shape
    "scalar by column": ((), (3,), (1, 3)),
    "scalar by column [n, 1]": ((), (3, 1), (1, 3)),
    "scalar by row [1, n]": ((), (1, 3), (3, 1)),
    "vector by vector": ((2,), (3,), (2, 3)),
    "column by column": ((2, 1), (3, 1), (2, 3)),
    "scalar by matrix": ((), (2, 3), (3, 2)),
    "[1, 1] by matrix": ((1, 1), (2, 3), (3, 2)),
    "scalar by scalar": ((), (), (1, 1)),
    "vector by scalar": ((2,), (), (2, 1)),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_the_layouts_of_the_slides_and_back(case):
    of, by, shape = LAYOUTS[case]
    derivative = draw(*of, *by)
    lecture = convert(derivative, of, by)
    assert lecture.shape == shape
    np.testing.assert_array_equal(convert(lecture, of, by, to="jax"), derivative)


def test_the_entries_are_where_the_slides_have_them():
    X = draw(2, 3)
    gradient = jax.grad(lambda X: X[0, 1] * 2.0 + X[1, 2] * 5.0)(X)
    assert convert(gradient, (), (2, 3)).tolist() == [[0.0, 0.0], [2.0, 0.0], [0.0, 5.0]]
    A = draw(2, 3)
    jacobian = jax.jacobian(lambda x: A @ x)(jnp.ones(3))
    np.testing.assert_array_equal(convert(jacobian, (2,), (3,)), A)  # dy_i/dx_j = A_ij


@pytest.mark.parametrize(("of", "by"), [((2,), (2, 3)), ((2, 3), (2,)), ((2, 2), (2, 2)), ((), (2, 3, 4))])
def test_what_has_no_agreed_layout_is_refused(of, by):
    with pytest.raises(InvalidInput, match="no layout is agreed on"):
        convert(draw(*of, *by), of, by)


def test_a_derivative_of_another_size_is_refused():
    with pytest.raises(InvalidInput, match=r"shape \(4,\)"):
        convert(draw(4), (), (3,))


def test_gradients_in_both_layouts():
    steps = backprop(cost, *(draw(*shape, seed=k) for k, shape in enumerate(ARGS)))
    assert steps.gradient("A").shape == (3, 4)
    assert steps.gradient("A", "lecture").shape == (4, 3)
    assert steps.gradient("x", "lecture").shape == (1, 4)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda steps: steps["tanh"].jacobian(by="tahn"), "no operand 'tahn'"),
        (lambda steps: steps["tanh"].jacobian(of=2), "no result 2"),
        (lambda steps: steps["tanh"].jacobian(layout="rows"), "'jax' or 'lecture'"),
        (lambda steps: steps.jacobian("add", "ex"), "no activation is called 'ex'"),
        (lambda steps: steps.jacobian("tanh", "B"), "a value that 'tanh' is computed from"),
        (lambda steps: steps.jacobian("add", "A", "lecture"), "no layout is agreed on"),
        (lambda steps: steps.gradient("C"), "no argument is called 'C'"),
    ],
)
def test_bad_requests_are_refused(ask, said):
    with pytest.raises(InvalidInput, match=said):
        ask(backprop(cost, *(draw(*shape, seed=k) for k, shape in enumerate(ARGS))))


def test_integers_have_no_jacobian_and_large_arrays_none_that_fits():
    steps = backprop(lambda x, i: jnp.sum(jnp.tanh(x[i] * x)), draw(10_000), 3)
    with pytest.raises(InvalidInput, match="entries"):
        steps["tanh"].jacobian()
    with pytest.raises(InvalidInput, match="the gradient of i, of int"):
        steps.gradient("i")
