"""Write docs/rulebook.md from the records and the measurements.  python -m tools.write_rulebook"""

from __future__ import annotations

from pathlib import Path

from diffprog.rules import Rule
from diffprog.rules.book import BOOK
from diffprog.rules.measured import measured, span

PAGE = Path(__file__).parent.parent / "docs/rulebook.md"
HEAD = """# The rule book

Every backward rule of diffprog, from the same records that the proofs and the benchmark read. This page is written by
`tools/write_rulebook.py`. Each rule is proven in float64 against JAX's autodiff and central differences, and through
`grad`, `vjp`, `jvp`, `jacfwd`, `hessian`, `vmap`, `jit`, `scan` and `checkpoint`; [rules](rules.md) says how. On a
terminal, `diffprog rules` prints the same table, and in Python:

```python
from diffprog.rules.book import BOOK, find

assert len(BOOK) > 50
print(find("max pooling").saved)
```

Speed is the time of JAX's own autodiff, or PyTorch's, over the time of the rule, in one process: {machine}.

| rule | backward | proven to order | to plain JAX | to PyTorch |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = "\n".join(map(_row, BOOK))
    return HEAD.format(machine=measured().machine) + rows + "\n\n" + "\n".join(map(_entry, BOOK))


def _anchor(rule: Rule) -> str:
    return "".join(c for c in rule.name.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _row(rule: Rule) -> str:
    rows = measured().of(rule.name)
    plain = span(tuple(row.plain for row in rows))
    torch = span(tuple(row.torch for row in rows if row.torch is not None))
    backward = rule.backward.replace("|", r"\vert ")
    return f"| [{rule.name}](#{_anchor(rule)}) | ${backward}$ | {rule.orders} | {plain} | {torch} |"


def _entry(rule: Rule) -> str:
    lines = [
        f"## {rule.name}",
        "",
        f"$${rule.forward}$$",
        "",
        f"$${rule.backward}$$",
        "",
        f"- Saved: {rule.saved}.",
        *([f"- At kinks: {rule.kinks}."] if rule.kinks else []),
        f"- Source: {rule.source}.",
        f"- Proven on: {'; '.join(case.name for case in rule.cases)}.",
    ]
    for row in measured().of(rule.name):
        torch = "" if row.torch is None else f", {row.torch:.2f} times PyTorch"
        lines.append(f"- {row.what}: {row.plain:.2f} times plain JAX{torch}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
