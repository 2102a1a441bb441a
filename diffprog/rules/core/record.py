"""What the rule book says about one rule: its mathematics, its conventions, and the cases it is proven on.

A rule is a function and a record. The function is used; the record is read, by people (`diffprog rules`, the docs),
by the proofs (every case of every record is checked against autodiff and finite differences) and by the benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jax import Array


@dataclass(frozen=True)
class Case:
    """Arguments to prove a rule on.

    Attributes:
      name: what is particular about it: "stride 2, window 3".
      make: `(key, dtype) -> positional arguments`, drawn so that no kink is within a finite difference's reach.
      settings: keyword arguments that are not arrays.
    """

    name: str
    make: Callable[[Array, Any], tuple[Any, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """One entry of the rule book.

    Attributes:
      name: the field's name of the operation.
      function: the operation with its hand-written backward: `(*arrays, **settings) -> x_out`.
      reference: the plain JAX program of the same values, whose autodiff the rule is proven against.
      forward: the formula, LaTeX.
      backward: the formula of every gradient, LaTeX.
      saved: what is kept for the backward pass, and why no less.
      kinks: the convention where the derivative does not exist; empty for smooth rules.
      source: paper, equation, slide, or the implementation whose values it agrees with.
      differentiable: which positional arguments have a gradient.
      cases: what it is proven on.
      exact: whether forward values agree with the reference bit for bit.
      orders: how many times it is proven differentiable.
    """

    name: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    forward: str
    backward: str
    saved: str
    source: str
    cases: tuple[Case, ...]
    kinks: str = ""
    differentiable: tuple[int, ...] = (0,)
    exact: bool = True
    orders: int = 3
