"""The checker catches every rule of a catalogue of wrong ones, and accuses none of their right twins."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput, WrongRule
from diffprog.rules.check import Proof, check_rule, prove
from diffprog.rules.core.record import Case, Rule
from tests.rules.wrong_rules import TANH, WRONG, Wrong, draw, ruled, tanh, tanh_vjp, vjp_only

TWINS = list({id(entry.right): entry for entry in WRONG}.values())


def check(entry: Wrong, function: object, **options: object) -> Proof:
    settings = {"reference": entry.reference, "orders": entry.orders, "name": entry.name} | options
    return check_rule(function, *entry.args, **settings)


def test_the_catalogue_is_large_and_its_names_are_its_own():
    assert len(WRONG) >= 50
    assert len({entry.name for entry in WRONG}) == len(WRONG)


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry.name)
def test_a_wrong_rule_is_caught(entry):
    # A check of the first order catches it without the programs of the higher ones, which take seconds to compile.
    higher = any(word in entry.caught_by for word in ("second order", "third order", "push"))
    only_there = {"quick": entry.caught_by != "jit equals eager"} | ({} if higher else {"orders": 1})
    if entry.caught_by not in ("bfloat16", "shape and type of gradients"):
        only_there |= {"low_precision": ()}
    proof = check(entry, entry.wrong, **only_there)
    assert entry.caught_by in [found.name for found in proof.wrong], str(proof)


@pytest.mark.thorough
@pytest.mark.parametrize("entry", TWINS, ids=lambda entry: entry.name)
def test_its_right_twin_is_not_accused(entry):
    # All of it is proven on the rules of the book; here what accused the wrong twin must not accuse the right one.
    quick = entry.caught_by != "jit equals eager"
    proof = check(entry, entry.right, quick=quick, low_precision=[jnp.bfloat16])
    assert proof.ok, proof


@pytest.mark.parametrize("name", ["0.1 % off", "sum over the batch forgotten", "groups permuted"])
def test_a_wrong_rule_is_caught_by_differences_alone(name):
    entry = next(entry for entry in WRONG if entry.name == name)
    hidden = lambda *args: entry.wrong(*args)  # noqa: E731  the plain function inside cannot be found
    proof = check_rule(hidden, *entry.args, low_precision=(), quick=True)
    assert [found.name for found in proof.wrong][:1] == ["gradient against differences"]
    assert not proof["gradient against autodiff"].applies


def test_a_wrong_rule_is_caught_in_float32():
    entry = next(entry for entry in WRONG if entry.name == "0.1 % off")
    assert not check(entry, entry.wrong, dtype=jnp.float32, quick=True)["gradient against autodiff"].ok
    assert check(entry, entry.right, dtype=jnp.float32, quick=True).ok


def test_the_plain_function_is_found_inside_a_rule():
    assert check_rule(tanh_vjp, draw(3), orders=1, quick=True)["gradient against autodiff"].applies
    assert check_rule(tanh, draw(3), orders=1, quick=True)["gradient against autodiff"].applies


def test_refusing_forward_mode_is_reported_and_accused_only_on_request():
    proof = check_rule(tanh_vjp, draw(3), low_precision=(), quick=True)
    assert proof.ok
    assert "refuses forward mode" in proof["push is the transpose of pull"].detail
    strict = check_rule(tanh_vjp, draw(3), low_precision=(), quick=True, require_forward=True)
    assert "push is the transpose of pull" in [found.name for found in strict.wrong]


def straight_through(x):
    return x + jax.lax.stop_gradient(jnp.round(x) - x)


def test_a_surrogate_gradient_needs_a_reference_that_says_so():
    rule = vjp_only(jnp.round, lambda x: (jnp.round(x), None), lambda _, g: (g,))
    x = np.array([0.3, 1.7, -2.2])
    assert not check_rule(rule, x, orders=1, quick=True).ok
    proof = check_rule(rule, x, reference=straight_through, orders=1, quick=True)
    assert proof.ok
    assert not proof["gradient against differences"].applies


def test_arguments_on_two_devices_are_checked_where_there_are_two():
    code = (
        "import numpy as np; from diffprog.rules.check import check_rule; from tests.rules.wrong_rules import matmul\n"
        "proof = check_rule(matmul, np.ones((4, 3)), np.ones((3, 2)), orders=1, low_precision=()).require()\n"
        "assert proof['sharded'].applies"
    )
    flags = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", code], check=True, env=flags)


def test_random_keys_pass_through():
    def dropout(key, x):
        return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0)

    assert check_rule(dropout, jax.random.key(3), draw(4), reference=dropout, low_precision=()).ok


def test_pytrees_integers_and_what_is_not_an_array():
    def lookup(parameters, ids, kind, shift=0.0):
        assert kind == "rows"
        return {"rows": parameters["table"][ids] * parameters["scale"] + shift, "ids": ids}

    args = {"table": draw(4, 2), "scale": draw(2)}, np.array([0, 3, 0]), "rows"
    proof = check_rule(lookup, *args, reference=lookup, settings={"shift": 1.0}, low_precision=())
    assert proof.ok, str(proof)


def test_float64_is_the_checkers_own_affair():
    assert jnp.zeros(()).dtype == jnp.float32
    assert check_rule(tanh, jnp.ones(3, jnp.float32), orders=1, quick=True).ok
    assert jnp.zeros(()).dtype == jnp.float32


def test_a_proof_reads_as_a_table_and_raises_in_three_parts():
    wrong = ruled(jnp.tanh, lambda x, y, g: -g * (1 - y * y))
    proof = check_rule(wrong, *TANH[1], orders=1, quick=True, low_precision=(), name="my tanh")
    assert str(proof).startswith("my tanh: ")
    assert "WRONG  gradient against autodiff" in str(proof)
    with pytest.raises(WrongRule, match=r"my tanh: 3 of \d+ checks fail") as caught:
        proof.require()
    assert "sign, transpose" in caught.value.remedy
    good = check_rule(tanh, *TANH[1], orders=1, quick=True, low_precision=())
    assert good.require() is good


def test_a_function_that_raises_is_a_finding():
    def broken(x):
        raise ValueError("no such thing")

    proof = check_rule(broken, draw(2))
    assert [found.detail for found in proof.wrong] == ["raised ValueError: no such thing"]


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((np.array([1, 2]),), {}, "floating-point"),
        ((np.array([1.0 + 2.0j]),), {}, "real floating-point"),
        ((np.ones(2), np.array([1, 2])), {"differentiable": (1,)}, "floating-point"),
        ((np.ones(2),), {"dtype": jnp.bfloat16}, "dtype bfloat16"),
        ((np.ones(2),), {"orders": 4}, "orders 4"),
    ],
)
def test_what_cannot_be_checked_is_refused(args, options, message):
    with pytest.raises(InvalidInput, match=message):
        check_rule(lambda *x: x[0], *args, **options)


def test_a_record_is_proven_on_every_case():
    def make(key, dtype):
        return (jax.random.normal(key, (3,), dtype),)

    def record(function):
        words = dict.fromkeys(("forward", "backward", "saved", "source"), "")
        cases = (Case("first", make), Case("second", make))
        return Rule(name="tanh", function=function, reference=jnp.tanh, cases=cases, orders=2, **words)

    assert prove(record(tanh)).ok
    wrong = prove(record(ruled(jnp.tanh, lambda x, y, g: 1.001 * g * (1 - y * y)))).wrong
    assert {found.name.split(":")[0] for found in wrong} == {"first", "second"}
