"""Is a backward rule right? Proven by comparison, in float64, before it is used.

`check_rule(f, *args)` takes any function with a hand-written derivative: one of this package's, a `jax.custom_vjp`,
a `jax.custom_jvp`, or a function that calls them. JAX itself checks none of what is checked here: not that the
forward pass of a `custom_vjp` returns the function's value, not that the backward pass is its derivative.
`jax.test_util.check_grads` lets pass what is 0.1 % off in float32, and its tolerance grows with the array.

`prove(rule)` does the same for a record of the rule book, on every one of its cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.errors import InvalidInput
from diffprog.rules.checks import first_order, higher_order, numbers, transformations
from diffprog.rules.checks.evidence import Refusal, attempt, compiled, run
from diffprog.rules.checks.inquiry import Inquiry
from diffprog.rules.checks.proof import Check as Check
from diffprog.rules.checks.proof import Proof as Proof
from diffprog.rules.checks.subject import (
    TOLERANCES,
    Subject,
    array_positions,
    cast,
    differentiable_positions,
    find_reference,
    is_array,
)
from diffprog.rules.core.record import Case, Rule

LOW = (jnp.float32, jnp.bfloat16)


def check_rule(
    function: Callable[..., Any],
    *args: Any,
    reference: Callable[..., Any] | None = None,
    differentiable: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    dtype: Any = jnp.float64,
    low_precision: Sequence[Any] = LOW,
    seed: int = 0,
    orders: int = 2,
    exact: bool = False,
    require_forward: bool = False,
    elsewhere: bool = True,
    quick: bool = False,
    name: str | None = None,
) -> Proof:
    """Check a function with a hand-written derivative, at one point.

    It is compared with autodiff of a reference, with central differences, and with itself under jit, vmap, scan,
    checkpoint, forward mode and higher derivatives. Small arrays suffice; take arguments away from kinks, and of
    more than one sign. Everything runs in float64 whether or not the session has switched it on.

    Args:
      function: `(*args, **settings) -> out`; out is an array or a pytree, of which the floating-point leaves count.
      *args: arrays, or pytrees of arrays; floating-point ones are cast to `dtype`. Anything else stays as it is.
      reference: a plain program of the same values. None: what a `custom_vjp`, `custom_jvp` or `operation` wraps;
        if there is nothing or JAX cannot differentiate it, differences alone decide. A reference that is given
        decides where differences and autodiff disagree, as for straight-through gradients.
      differentiable: positions of the arguments that have a gradient; None: all of floating-point numbers.
      settings: keyword arguments that are not arrays.
      dtype: float64, or float32 for functions that know nothing else; the tolerances follow.
      low_precision: further types it must run in, with gradients of the same type.
      seed: of the random directions.
      orders: how many times it must be differentiable, 1 to 3.
      exact: whether values must equal the reference's bit for bit.
      require_forward: whether to accuse a `custom_vjp` of refusing forward mode.
      elsewhere: whether to look also at zeros, at the other sign and where functions saturate; no for a function
        that is only meant near these arguments, or that never ends far from them.
      quick: whether to leave out what takes longest to compile and seldom finds anything else: the uncompiled call,
        sharded arguments, vmap over one argument alone, reverse over forward.
      name: what the report calls it.

    Returns:
      A `Proof`: `proof.ok`, `print(proof)`, `proof.require()`.

    Raises:
      InvalidInput: no floating-point argument to differentiate, or `dtype` or `orders` that cannot be checked.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> @jax.custom_vjp
      ... def square(x):
      ...     return x * x
      >>> square.defvjp(lambda x: (x * x, x), lambda x, g_out: (2.002 * x * g_out,))
      >>> proof = check_rule(square, jnp.array([1.0, -2.0, 0.5]), orders=1)
      >>> [check.name for check in proof.wrong][:2]
      ['gradient against autodiff', 'gradient against differences']
    """
    kind = jnp.dtype(dtype).name
    if kind not in TOLERANCES or not 1 <= orders <= 3:
        raise InvalidInput(
            f"dtype {kind} and orders {orders}",
            "float64 or float32, which leave digits to compare, and 1 to 3 orders",
            "the default dtype; lower types belong in low_precision=",
        )
    with jax.enable_x64(True), np.errstate(all="ignore"):
        positions = array_positions(args, differentiable)
        subject = Subject(
            name or str(getattr(function, "__name__", "function")),
            function,
            reference or find_reference(function),
            reference is not None,
            tuple(cast(arg, dtype) if p in positions else arg for p, arg in enumerate(args)),
            positions,
            differentiable_positions(args, positions, differentiable),
            dict(settings or {}),
            TOLERANCES[kind],
            seed,
        )
        lower = tuple(low for low in low_precision if jnp.finfo(low).bits < jnp.finfo(dtype).bits)
        inquiry = Inquiry(subject, exact, orders, require_forward, elsewhere, quick, lower)
        return Proof(subject.name, tuple(_checks(inquiry)))


def _checks(q: Inquiry) -> list[Check]:
    """All checks, or only those up to the first that leaves nothing to go on with."""
    found = [first_order.value(q)]
    if isinstance(q.x_out, Refusal):
        return found
    found.append(first_order.shape_and_type(q))
    for pull in q.pulls:
        if isinstance(pull, Refusal):
            return [*found, Check("gradient against autodiff", False, detail=str(pull))]
    results = run(
        higher_order.probes(q, q.rule.call, q.orders) | transformations.probes(q),
        q.arrays, q.cotangents[0], q.curvature, q.directions[0], q.neighbour, q.cotangents[1],
    )  # fmt: skip
    return [
        *found,
        first_order.value_while_differentiating(q, results),
        first_order.against_autodiff(q),
        first_order.against_differences(q),
        first_order.linear(q),
        first_order.push_and_pull(q, results),
        first_order.one_argument(q, results),
        *higher_order.checks(q, results),
        transformations.vmap(q, results),
        *([] if q.quick else [transformations.eager(q), transformations.sharded(q)]),
        transformations.scan(q, results),
        transformations.checkpoint(q, results),
        numbers.finite(q),
        *([numbers.other_points(q)] if q.elsewhere else []),
        numbers.not_a_number(q),
        *(numbers.precision(q, dtype) for dtype in q.dtypes),
    ]


def prove(rule: Rule, seed: int = 0, elsewhere: bool = True) -> Proof:
    """Check a record of the rule book on every one of its cases; the names of the checks begin with the case."""
    checks = []
    for number, case in enumerate(rule.cases):
        proof = prove_case(rule, case, seed, whole=number == 0, elsewhere=elsewhere)
        checks += [
            Check(f"{case.name}: {c.name}", c.ok, c.measured, c.allowed, c.detail) for c in proof.checks
        ]
    return Proof(rule.name, tuple(checks))


def prove_case(
    rule: Rule,
    case: Case,
    seed: int = 0,
    whole: bool = True,
    elsewhere: bool = True,
    orders: int | None = None,
) -> Proof:
    """Check a record of the rule book on one of its cases.

    Args:
      rule, case: what, and on which arguments.
      seed: of the arguments and of the random directions.
      whole: whether to take higher orders, float32 and what `check_rule` calls quick to leave out, too. What is
        particular about a case is in its formula, which shows without them; a rule's first case has them all.
      elsewhere: as in `check_rule`.
      orders: at most so many; None: what `whole` says.
    """
    with jax.enable_x64(True):
        args = _draw(case, seed)
    return check_rule(
        rule.function,
        *args,
        reference=rule.reference,
        differentiable=[i for i in rule.differentiable if i < len(args) and jax.tree.leaves(args[i])],
        settings=case.settings,
        seed=seed,
        orders=min(rule.orders, orders or (rule.orders if whole else 1)),
        exact=rule.exact,
        require_forward=True,
        elsewhere=elsewhere,
        quick=not whole,
        low_precision=LOW if whole else LOW[1:],
        name=f"{rule.name}, {case.name}",
    )


def _draw(case: Case, seed: int) -> tuple[Any, ...]:
    """A case's arguments; drawn in one program where they can be, since one for every operation takes seconds."""
    rest: list[Any] = []

    def arrays(key: jax.Array) -> list[Any]:
        leaves, tree = jax.tree.flatten(case.make(key, jnp.float64))
        rest[:] = tree, [None if is_array(leaf) else leaf for leaf in leaves]
        return [leaf for leaf in leaves if is_array(leaf)]

    drawn = attempt(compiled(arrays), jax.random.key(seed))
    if isinstance(drawn, Refusal):
        return case.make(jax.random.key(seed), jnp.float64)
    tree, others = rest
    turn = iter(drawn)
    whole: tuple[Any, ...] = jax.tree.unflatten(tree, [next(turn) if o is None else o for o in others])
    return whole
