"""The lecture's worked example, told in its notation: every number comes out of `backprop`.

    x1 = W0 x0    x2 = tanh(x1)    x3 = W1 x2    L = 1/2 (x3 - y)^2

Vectors are columns and derivatives have the numerator layout, as on the slides: a derivative of L by a column is a
row. Where a slide has a slip, that is said.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.graph.sweeps.backprop import Backprop, backprop
from diffprog.graph.sweeps.layouts import convert

W0, W1 = ((1.0, -3.0), (0.2, 1.0)), ((1.0, -1.0),)
X0, Y, ETA = ((1.0,), (0.1,)), 0.5, -0.2

HEAD = """\
Backpropagation example: one iteration
  the network   x1 = W0 x0,  x2 = tanh(x1),  x3 = W1 x2,  L = 1/2 (x3 - y)^2
  layout        vectors are columns; a derivative of L by a column is a row, by a matrix [n x m] it is [m x n]
"""
SLIP_DW1 = """\
      slip on the slide: this line is printed with the factor -0.1186; it is dL/dx3 that belongs here,
      and the printed result, (-0.113, -0.054)^T, is right only with that"""
SLIP_ETA = """\
      eta is negative because the update is written with a plus: with the usual minus it is 0.2"""
SLIP_TRANSPOSE = """\
      slip on the slide: the transpose is missing in the line with the numbers; the printed result has it"""
SLIP_MOMENTUM = """\
One slip elsewhere in the lecture: the line on momentum subtracts alpha m^t and does not say what m is.
Heavy ball: m is the accumulated gradient, m <- beta m + g, and then theta <- theta - eta m."""


def cost(W0: jax.Array, W1: jax.Array, x0: jax.Array, y: jax.Array) -> jax.Array:
    """The network of the example, and its loss."""
    x1 = W0 @ x0  # (2, 2) (2, 1) -> (2, 1)
    x2 = jnp.tanh(x1)
    x3 = W1 @ x2  # (1, 2) (2, 1) -> (1, 1)
    return jnp.sum((x3 - y) ** 2) / 2


def sweep() -> Backprop:
    """The backward sweep through the example, in float64."""
    with jax.enable_x64(True):
        return backprop(cost, *map(jnp.asarray, (W0, W1, X0, Y)), parameters=["W0", "W1"])


def tell(digits: int) -> str:
    """The example step by step.

    Args:
        digits: decimals of every computed number.
    """
    with jax.enable_x64(True):
        return "\n".join(
            [HEAD, *_given(), "", *_forward(digits), "", *_backward(digits), "", *_updates(digits)]
        )


def _given() -> list[str]:
    short = [
        _equation(name, "", np.array(value), None) for name, value in (("W0", W0), ("W1", W1), ("x0", X0))
    ]
    return ["Given", *short, f"  y = {Y:g}", f"  eta = {ETA:g}"]


def _forward(digits: int) -> list[str]:
    steps = sweep()
    x1, x2, x3 = (np.asarray(steps[name].x_out[0].array) for name in ("dot", "tanh", "dot_1"))
    return [
        "Forward pass",
        _equation("x1", "W0 x0", x1, digits),
        _equation("x2", "tanh(x1)", x2, digits),
        _equation("x3", "W1 x2", x3, digits),
        _equation("L", "1/2 (x3 - y)^2", np.asarray(steps.value), digits),
    ]


def _backward(digits: int) -> list[str]:
    steps = sweep()
    g1, g2, g3 = (
        np.asarray(convert(steps[name].g_out[0].array, (), steps[name].x_out[0].array.shape))
        for name in ("dot", "tanh", "dot_1")
    )
    slope = np.asarray(steps["tanh"].jacobian(layout="lecture"))
    dW0, dW1 = (np.asarray(steps.gradient(name, "lecture")) for name in ("W0", "W1"))
    return [
        "Backward pass",
        _equation("dL/dx3", "x3 - y", g3, digits),
        _equation("dL/dx2", "dL/dx3 W1", g2, digits),
        _equation("tanh'(x1)", "dx2/dx1 = diag(1 - tanh^2(x1))", slope, digits),
        "      a diagonal matrix, because tanh works on every entry alone",
        _equation("dL/dx1", "dL/dx2 tanh'(x1)", g1, digits),
        _equation("dL/dW0", "x0 dL/dx1", dW0, digits),
        _equation("dL/dW1", "x2 dL/dx3", dW1, digits),
        SLIP_DW1,
        f"  the sweep took {steps.products} vector-Jacobian products, as dL/dx3, dL/dx2 and dL/dx1 are used again; "
        f"without that, {steps.naive_products}",
    ]


def _updates(digits: int) -> list[str]:
    steps = sweep()
    new0, new1 = (
        np.asarray(steps.variable(name).array + ETA * steps.gradient(name, "lecture").T)
        for name in ("W0", "W1")
    )
    return [
        "Update",
        _equation("W0'", "W0 + eta (dL/dW0)^T", new0, digits),
        SLIP_TRANSPOSE,
        _equation("W1'", "W1 + eta (dL/dW1)^T", new1, digits),
        SLIP_ETA,
        "",
        SLIP_MOMENTUM,
    ]


def _equation(name: str, how: str, value: np.ndarray, digits: int | None) -> str:
    """`name = how = value`, a matrix over several lines; columns are written as rows with ^T."""
    start = f"  {name} = {how} = " if how else f"  {name} = "
    cells = [[_number(entry, digits) for entry in row] for row in np.atleast_2d(value)]
    if value.size == 1:
        return start + cells[0][0]
    if 1 in value.shape:
        return f"{start}({', '.join(cell for row in cells for cell in row)}){'^T' if value.shape[1] == 1 else ''}"
    width = max(len(cell) for row in cells for cell in row)
    rows = ["[ " + "  ".join(cell.rjust(width) for cell in row) + " ]" for row in cells]
    return f"\n{' ' * len(start)}".join([start + rows[0], *rows[1:]])


def _number(entry: float, digits: int | None) -> str:
    return f"{entry:g}" if digits is None else f"{entry:.{digits}f}"
