import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import diffprog
from diffprog.errors import InvalidInput
from diffprog.graph import override, tap, trace

X = jnp.ones((3, 2))
KEPT = []


def branching(x):
    if x.sum() > 0:
        return x
    return -x


def looping(x):
    while x.max() < 10:
        x = 2 * x
    return x


def inner(x):
    return jax.jit(branching)(jnp.sin(x))


def to_numpy(x):
    return np.sin(x)


def to_number(x):
    return x * float(x[0, 0])


def masked(x):
    return x[x > 0].sum()


def shaped(x):
    return jnp.zeros(x.sum().astype(int))


def counting(x):
    return [1, 2, 3][x.argmax()]


def remembering(x):
    KEPT.append(2 * x)
    return x + KEPT[0]


REFUSED = {
    "a branch on a value": (
        branching,
        r"branches.*test_untraceable.py:\d+ \(branching\): `if x.sum\(\) > 0:`.*jnp.where",
    ),
    "a loop on a value": (looping, r"branches.*\(looping\): `while x.max\(\) < 10:`.*while_loop"),
    "a branch inside a jit": (inner, r"branches.*\(branching\): `if x.sum\(\) > 0:`"),
    "numpy": (to_numpy, r"NumPy.*\(to_numpy\): `return np.sin\(x\)`.*jax.numpy"),
    "a number": (to_number, r"Python number.*\(to_number\): `return x \* float"),
    "a mask": (masked, r"mask.*\(masked\).*jnp.where"),
    "a shape": (shaped, r"as a shape.*\(shaped\).*x.shape"),
    "an index of a list": (counting, r"Python integer.*\(counting\)"),
    "a result that is no array": (lambda x: {"y": x, "name": "sine"}, r"str: result\['name'\] is 'sine'"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("way", [trace, lambda f, x: tap(f, "sin")(x), lambda f, x: override(f)(x)])
def test_what_cannot_be_traced_is_told_with_its_line_and_a_remedy(function, message, way):
    with pytest.raises(InvalidInput, match=f"(?s){message}") as caught:
        way(function, X)
    assert caught.value.remedy
    if "result" not in message:
        assert isinstance(caught.value.__cause__, TypeError | IndexError)


def test_a_value_kept_from_an_earlier_trace_is_told():
    KEPT.clear()
    trace(remembering, X)
    line = remembering.__code__.co_firstlineno + 1
    made = rf"\(it was made at test_untraceable.py:{line} \(remembering\)\)"
    with pytest.raises(InvalidInput, match=rf"(?s)remembering.*earlier trace.*side effect {made}.*tap it"):
        trace(remembering, X)


def test_what_an_outer_transformation_closes_over_is_no_side_effect():
    assert jax.grad(lambda w: trace(lambda x: w * x, 2.0).run(2.0)[0])(3.0) == 2.0


@pytest.mark.parametrize("argument", ["train", {"mode": "train"}, object()])
def test_arguments_that_are_no_arrays_are_told_by_name(argument):
    with pytest.raises(InvalidInput, match=r"(?s)the argument mode.*functools.partial\(f, mode=...\)"):
        trace(lambda x, mode: x, X, argument)
    assert trace(functools.partial(lambda x, mode: x, mode=argument), X).run(X)[0] is X


def test_errors_of_the_function_s_own_pass():
    with pytest.raises(TypeError, match="dot_general"):
        trace(lambda x: x @ x, X)


@pytest.mark.parametrize(
    "call",
    [
        lambda: diffprog.trace(3, jnp.ones(2)),
        lambda: diffprog.tap(3, "relu"),
        lambda: diffprog.tap(jnp.sin, 3),
        lambda: diffprog.tap(jnp.sin, [1]),
        lambda: diffprog.cut(3, "relu")(jnp.ones(2)),
        lambda: diffprog.backprop(3, jnp.ones(2)),
        lambda: diffprog.diagnose(3, jnp.ones(2)),
        lambda: diffprog.override(3)(jnp.ones(2)),
    ],
)
def test_what_is_no_function_or_no_name_is_refused(call):
    with pytest.raises(InvalidInput):
        call()
