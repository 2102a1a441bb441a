"""What is kept between the forward and the backward pass is never more than JAX's own autodiff keeps."""

import jax
import jax.numpy as jnp
import pytest

from diffprog.rules.book import BOOK

# More by a few vectors as long as the channels, which the arrays of these small cases do not dwarf.
VECTORS = {"batch norm, frozen": 6 * 10 * 4, "shared parameters": 6 * 4}


def kept(function, args, differentiable, settings):
    """Bytes of the residuals of a vjp, whose shapes are known without compiling it."""

    def at(*some):
        full = list(args)
        for i, value in zip(differentiable, some, strict=True):
            full[i] = value
        return function(*full, **settings)

    _, pull = jax.eval_shape(lambda *some: jax.vjp(at, *some), *(args[i] for i in differentiable))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(pull))


@pytest.mark.parametrize("rule", BOOK, ids=lambda rule: rule.name)
def test_a_rule_keeps_no_more_than_autodiff(rule):
    case = rule.cases[0]
    args = case.make(jax.random.key(0), jnp.float32)
    differentiable = [i for i in rule.differentiable if i < len(args) and jax.tree.leaves(args[i])]
    ours, theirs = (kept(f, args, differentiable, case.settings) for f in (rule.function, rule.reference))
    assert ours <= theirs + VECTORS.get(rule.name, 0)
