"""The rule book on a terminal: one line a rule, or one rule in full."""

from __future__ import annotations

from diffprog.cli.listings import columns
from diffprog.rules import Rule
from diffprog.rules.book import BOOK, find
from diffprog.rules.measured import measured, span

TRANSFORMATIONS = "grad, vjp, jvp, jacfwd, hessian, vmap, jit, scan, checkpoint"


def table() -> str:
    """All rules: formula of the backward pass, how far it is proven, and its speed."""
    head = ("rule", "cases", "orders", "to plain JAX", "to PyTorch", "backward")
    return columns(head, map(_row, BOOK)) + f"\n\nspeed: {measured().machine}"


def entry(name: str) -> str:
    """One rule in full.

    Raises:
      InvalidInput: no rule of this name; the nearest are offered.
    """
    rule = find(name)
    lines = [
        ("forward", rule.forward),
        ("backward", rule.backward),
        ("saved", rule.saved),
        ("kinks", rule.kinks or "none"),
        ("source", rule.source),
        ("proven", f"{rule.orders} orders, through {TRANSFORMATIONS}"),
        *(("on" if i == 0 else "", case.name) for i, case in enumerate(rule.cases)),
        *(("faster" if i == 0 else "", text) for i, text in enumerate(_speeds(rule))),
    ]
    return "\n".join([rule.name, *(f"  {head:<9} {text}" for head, text in lines)])


def _row(rule: Rule) -> tuple[str, ...]:
    rows = measured().of(rule.name)
    plain = span(tuple(row.plain for row in rows))
    torch = span(tuple(row.torch for row in rows if row.torch is not None))
    return rule.name, str(len(rule.cases)), str(rule.orders), plain, torch, rule.backward


def _speeds(rule: Rule) -> list[str]:
    found = []
    for row in measured().of(rule.name):
        torch = "" if row.torch is None else f", {row.torch:.2f} times PyTorch"
        found.append(f"{row.plain:.2f} times plain JAX{torch}: {row.what}")
    return found
