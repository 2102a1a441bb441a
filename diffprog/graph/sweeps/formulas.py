"""Which rule a node goes back by, and how it reads: from the rule book, or from a table of plain operations.

The book's records are for whole operations (convolution, relu, softmax); the table here has what JAX makes of
arithmetic and of moving numbers about. A function with a derivative of its own has its author's rule, whatever its
name is, and no formula is claimed for it. Formulas are LaTeX, in the lecture's notation; operands are a, b, c.
"""

from __future__ import annotations

from typing import NamedTuple

from diffprog.graph.jax_internals import written_in
from diffprog.graph.node import Node, Value
from diffprog.rules import book

# What a graph calls an operation, and what the book calls it, where that is not the same.
_IN_BOOK = {
    "dot": "dot_general",
    "add": "merge",
    "add_any": "merge",
    "squeeze": "reshape",
    "expand_dims": "reshape",
    "broadcast_in_dim": "broadcast",
    "abs": "absolute value",
    "absolute": "absolute value",
    "clamp": "clip",
    "logistic": "sigmoid",
    "gelu_tanh": "gelu",
    "integer_pow": "power",
    "pow": "power of two arrays",
    "max_pool": "max pooling",
    "sum_pool": "sum pooling",
    "global_avg_pool": "global average pooling",
    "resize_nearest": "nearest-neighbour resize",
    "affine": "affine resampling",
    "batch_norm_frozen": "batch norm, frozen",
    "l2_normalize": "L2 normalization",
    "logsumexp": "log-sum-exp",
    "dot_product_attention": "attention",
    "softmax_cross_entropy_with_integer_labels": "softmax cross-entropy, labels",
    "softmax_cross_entropy": "softmax cross-entropy, distributions",
}
_MOVED = r"x_{out} = x_{in}\text{ elsewhere}", r"g_{in} = g_{out}\text{ from there}"
_STEPPED = r"x_{out} = f(x_{in})", r"g_{in} = 0"
_PLAIN: dict[str, tuple[str, str]] = {
    "sub": ("x_{out} = a - b", r"g_a = g_{out},\quad g_b = -g_{out}"),
    "mul": (r"x_{out} = a\,b", r"g_a = g_{out}\,b,\quad g_b = g_{out}\,a"),
    "div": ("x_{out} = a / b", r"g_a = g_{out} / b,\quad g_b = -g_{out}\,a / b^2"),
    "neg": ("x_{out} = -x_{in}", "g_{in} = -g_{out}"),
    "max": (
        r"x_{out} = \max(a, b)",
        r"g_a = g_{out}\,[a > b],\quad g_b = g_{out}\,[b > a],\quad\text{half each where } a = b",
    ),
    "min": (
        r"x_{out} = \min(a, b)",
        r"g_a = g_{out}\,[a < b],\quad g_b = g_{out}\,[b < a],\quad\text{half each where } a = b",
    ),
    "exp2": ("x_{out} = 2^{x_{in}}", r"g_{in} = g_{out}\,x_{out} \log 2"),
    "expm1": ("x_{out} = e^{x_{in}} - 1", r"g_{in} = g_{out}\,(x_{out} + 1)"),
    "log1p": (r"x_{out} = \log(1 + x_{in})", "g_{in} = g_{out} / (1 + x_{in})"),
    "logaddexp": (
        r"x_{out} = \log(e^a + e^b)",
        r"g_a = g_{out}\,e^{a - x_{out}},\quad g_b = g_{out}\,e^{b - x_{out}}",
    ),
    "sin": (r"x_{out} = \sin x_{in}", r"g_{in} = g_{out} \cos x_{in}"),
    "cos": (r"x_{out} = \cos x_{in}", r"g_{in} = -g_{out} \sin x_{in}"),
    "tan": (r"x_{out} = \tan x_{in}", "g_{in} = g_{out} (1 + x_{out}^2)"),
    "asin": (r"x_{out} = \arcsin x_{in}", r"g_{in} = g_{out} / \sqrt{1 - x_{in}^2}"),
    "acos": (r"x_{out} = \arccos x_{in}", r"g_{in} = -g_{out} / \sqrt{1 - x_{in}^2}"),
    "atan": (r"x_{out} = \arctan x_{in}", "g_{in} = g_{out} / (1 + x_{in}^2)"),
    "sinh": (r"x_{out} = \sinh x_{in}", r"g_{in} = g_{out} \cosh x_{in}"),
    "cosh": (r"x_{out} = \cosh x_{in}", r"g_{in} = g_{out} \sinh x_{in}"),
    "erf": (r"x_{out} = \mathrm{erf}\,x_{in}", r"g_{in} = g_{out}\,2 e^{-x_{in}^2} / \sqrt{\pi}"),
    "rsqrt": (r"x_{out} = 1 / \sqrt{x_{in}}", "g_{in} = -g_{out}\\,x_{out} / (2 x_{in})"),
    "cbrt": (r"x_{out} = \sqrt[3]{x_{in}}", "g_{in} = g_{out}\\,x_{out} / (3 x_{in})"),
    "select_n": (
        r"x_{out} = a\text{ or } b,\text{ as } c\text{ says}",
        r"g_a = g_{out}\text{ where } a\text{ was taken},\quad g_b = g_{out}\text{ where } b\text{ was}",
    ),
    "reduce_sum": (r"x_{out} = \textstyle\sum x_{in}", r"g_{in} = g_{out}\text{ in every place}"),
    "reduce_max": (r"x_{out} = \max x_{in}", r"g_{in} = g_{out}\text{ at the largest, shared where several are}"),
    "reduce_min": (r"x_{out} = \min x_{in}", r"g_{in} = g_{out}\text{ at the smallest, shared where several are}"),
    "reduce_prod": (r"x_{out} = \textstyle\prod x_{in}", r"g_{in,i} = g_{out} \textstyle\prod_{j \ne i} x_{in,j}"),
    "cumsum": (r"x_{out,i} = \textstyle\sum_{j \le i} x_{in,j}", r"g_{in,j} = \textstyle\sum_{i \ge j} g_{out,i}"),
    "transpose": (r"x_{out} = x_{in}^\top", r"g_{in} = g_{out}^\top"),
    "rev": (r"x_{out}[i] = x_{in}[-i]", "g_{in}[i] = g_{out}[-i]"),
    "convert_element_type": ("x_{out} = x_{in}", "g_{in} = g_{out}"),
    "copy": ("x_{out} = x_{in}", "g_{in} = g_{out}"),
    "slice": (r"x_{out} = x_{in}[\text{part}]", r"g_{in}[\text{part}] = g_{out},\quad 0\text{ elsewhere}"),
    "dynamic_slice": (r"x_{out} = x_{in}[\text{part}]", r"g_{in}[\text{part}] = g_{out},\quad 0\text{ elsewhere}"),
    "split": (r"x_{out,k} = x_{in}[\text{part } k]", r"g_{in} = [g_{out,1}, g_{out,2}, \dots]"),
    "pad": (r"x_{out}[\text{part}] = x_{in}", r"g_{in} = g_{out}[\text{part}]"),
    "gather": (r"x_{out}[k] = x_{in}[i_k]", r"g_{in}[i] = \textstyle\sum_{k:\,i_k = i} g_{out}[k]"),
    "scatter-add": (r"x_{out} = a,\quad x_{out}[i_k] \mathrel{+}= b_k", "g_a = g_{out},\\quad g_b[k] = g_{out}[i_k]"),
    "sort": _MOVED,
    "linear_map": (r"x_{out} = L\,x_{in}", r"g_{in} = g_{out} L"),
    "standardize": (
        r"x_{out} = \gamma \hat{x} + \beta,\quad \hat{x} = (x_{in} - m)\,r",
        r"g_{in} = r\,(h - \overline{h} - \hat{x}\,\overline{h \hat{x}}),\ h = \gamma g_{out}",
    ),
    "scan": (
        r"c_{t+1}, y_t = f(c_t, x_t)",
        r"g_{c,t}, g_{x,t} = (g_{c,t+1}, g_{y,t})\,\partial f_t,\quad t\text{ from the last}",
    ),
    "cond": (r"x_{out} = f_k(x_{in})", r"g_{in} = g_{out}\,\partial f_k"),
    "checkpoint": (r"x_{out} = f(x_{in})", r"g_{in} = g_{out}\,\partial f,\quad f\text{ computed once more}"),
    "stop_gradient": ("x_{out} = x_{in}", "g_{in} = 0"),
    **dict.fromkeys(("sign", "floor", "ceil", "round"), _STEPPED),
}  # fmt: skip


class Formulas(NamedTuple):
    """How a node reads."""

    rule: str  # the name in the book, or "jax: <primitive>", or "custom: <function>"
    forward: str
    backward: str


def formulas(node: Node, operands: tuple[Value, ...]) -> Formulas:
    """The rule of a node, and its formulas; empty where they are unknown.

    Args:
        node: the operation.
        operands: shapes and dtypes of its operands.

    Example:
        >>> import jax.numpy as jnp
        >>> from diffprog.graph import trace
        >>> node = trace(jnp.sin, 1.0).nodes[0]
        >>> formulas(node, ())
        Formulas(rule='jax: sin', forward='x_{out} = \\\\sin x_{in}', backward='g_{in} = g_{out} \\\\cos x_{in}')
    """
    author = written_in(node)
    if author == "elsewhere":
        return Formulas(f"custom: {node.operation}", "", "")
    name = _book_name(node, operands)
    if name in _BY_NAME:
        rule = _BY_NAME[name]
        return Formulas(rule.name, rule.forward, rule.backward)
    prefix = f"{author}: {node.operation}" if author else f"jax: {node.primitive}"
    return Formulas(prefix, *_PLAIN.get(node.operation, ("", "")))


def _book_name(node: Node, operands: tuple[Value, ...]) -> str:
    if node.operation in ("conv", "convolution") and len(operands) == 2:
        return _convolution(node, *operands)
    return _IN_BOOK.get(node.operation, node.operation.replace("_", " "))


def _convolution(node: Node, x: Value, W: Value) -> str:
    """Which of the book's convolutions; kernels are [..., inputs of a group, outputs] in this package and in Flax."""
    known = node.settings
    if any(size != 1 for size in known.get("lhs_dilation", ())):
        return "convolution, both dilated"
    groups = known.get("feature_group_count", x.shape[-1] // max(W.shape[-2], 1))
    if groups > 1:
        return "convolution, depthwise" if groups in x.shape and W.shape[-2] == 1 else "convolution, grouped"
    layout = known.get("dimension_numbers")
    spatial = [W.shape[axis] for axis in layout.rhs_spec[2:]] if layout else W.shape[:-2]
    return "convolution, 1 x 1" if all(size == 1 for size in spatial) else "convolution, dense"


_BY_NAME = {rule.name: rule for rule in book.BOOK} | {"dot general": book.find("dot_general")}
