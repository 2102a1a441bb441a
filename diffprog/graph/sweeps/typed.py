"""A LaTeX formula in plain characters, for a terminal. It knows the commands that the package's formulas use."""

from __future__ import annotations

import re

# LaTeX as it can be read on a terminal: first what has arguments, from the inside out, then longer commands first.
_BRACED = (
    (r"\\t?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2"),
    (r"\\tfrac(\w)\{([^{}]*)\}", r"\1/(\2) "),
    (r"\\tfrac(\w|\\delta)(\w)", r"\1/\2 "),
    (r"\\sqrt(?:\[(\d)\])?\{([^{}]*)\}", r"sqrt\1(\2)"),
    (r"\\overline\{([^{}]*)\}", r"mean(\1)"),
    (r"\\(?:text|mathrm|mathrel)\{([^{}]*)\}", r"\1"),
    (r"\\hat\{x\}", "x^"),
    (r"\^\{(\w+)\}", r"^\1"),
    (r"\^\{([^{}]*)\}", r"^(\1)"),
    (r"_\{([\w,]+)\}", r"_\1"),
    (r"_\{([^{}]*)\}", r"_(\1)"),
)
_TYPED = (
    (r"\textstyle", ""), (r"\partial ", "∂"), (r"\partial", "∂"), (r"\lVert", "|"), (r"\rVert", "|"), (r"\|", "|"),
    (r"\langle ", "<"), (r"\rangle", ">"), (r"\Phi", "Φ"), (r"\sigma", "σ"), (r"\gamma", "γ"), (r"\beta", "β"),
    (r"\epsilon", "ε"), (r"\lambda", "λ"), (r"\delta", "δ"), (r"\pi", "π"), (r"\sum", "Σ"), (r"\prod", "Π"),
    (r"\top", "T"), (r"\cdot", "·"), (r"\ne", "≠"), (r"\ge", "≥"), (r"\le", "≤"), (r"\sim", "~"), (r"\wedge", "∧"),
    (r"\dots", "..."), (r"\quad", "  "), (r"\,", " "), (r"\;", " "), (r"\ ", " "), ("\\", ""),
)  # fmt: skip


def typed(formula: str) -> str:
    """A formula in plain characters, for a terminal.

    Example:
        >>> typed(r"g_{in} = g_{out} W^\\top,\\quad g_b = e^{a - x_{out}}")
        'g_in = g_out W^T, g_b = e^(a - x_out)'
    """
    before = ""
    while formula != before:
        before = formula
        for pattern, plain in _BRACED:
            formula = re.sub(pattern, plain, formula)
    for latex, plain in _TYPED:
        formula = formula.replace(latex, plain)
    return " ".join(formula.split())
