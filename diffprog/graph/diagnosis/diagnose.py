"""What is wrong with a cost, in sentences: `print(diagnose(cost, *args))`.

Three looks at it. By structure: which arguments can get a gradient at all (`reach`, `stopped`). By one sweep
forward and backward, all arrays kept (`observe`): NaN and infinity (`nonfinite`), kinks (`kinks`), dead and
saturated units (`idle`), cotangents that vanish or explode (`depth`). By the lie of the land: eigenvalues of the
Hessian (`curvature`), nodes that give it none (`second`) and a line through the point (`landscape`). Whoever wants
the sweep itself uses `backprop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from diffprog.errors import InvalidInput
from diffprog.graph.diagnosis.curvature import Spectrum, hessian_product, lanczos
from diffprog.graph.diagnosis.depth import depth
from diffprog.graph.diagnosis.findings import Diagnosis, Finding, sort
from diffprog.graph.diagnosis.idle import idle
from diffprog.graph.diagnosis.kinks import kinks
from diffprog.graph.diagnosis.landscape import landscape
from diffprog.graph.diagnosis.line import sample_line
from diffprog.graph.diagnosis.nonfinite import nonfinite
from diffprog.graph.diagnosis.observe import Observed, observe
from diffprog.graph.diagnosis.reach import reach
from diffprog.graph.diagnosis.second import second_order
from diffprog.graph.diagnosis.stopped import numerical, structural
from diffprog.graph.diagnosis.view import View, norm
from diffprog.graph.program import Graph
from diffprog.graph.trace import trace


def diagnose(
    function: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] | None = None,
    products: int = 24,
) -> Diagnosis:
    """Find what is not differentiable, dead, not finite or hard about a cost at a point.

    Args:
        function: any JAX function to one number, the cost.
        *args: what it takes; gradients are looked at with respect to every floating-point array in them.
        argnums: the arguments that are to be optimized, as in `jax.grad`; the Hessian is taken in these. By
            default the first one that has floating-point arrays.
        products: Hessian-vector products to take for the eigenvalues, each about as expensive as two gradients;
            with fewer products than variables they are estimates. 0 leaves out the eigenvalues and the line.

    Returns:
        The findings. `print` them; `diagnosis.healthy` tells whether there is any worse than a note.

    Raises:
        InvalidInput: the function's result is not one real number, `argnums` has no such argument, or `products` is
            negative.

    Example:
        >>> import jax.numpy as jnp
        >>> def length(x):
        ...     return jnp.sqrt(jnp.sum(x ** 2))
        >>> diagnose(length, jnp.ones(3))
        <Diagnosis of length: healthy, 1 note>
        >>> diagnose(length, jnp.zeros(3))
        <Diagnosis of length: 1 error>
        >>> diagnose(length, jnp.zeros(3)).findings[0].node
        'sqrt'
    """
    if products < 0:
        raise InvalidInput(f"products={products}", "how many products to take, 0 or more", "products=24")
    graph = trace(function, *args)
    _require_scalar(function, graph)
    variables = _variables(graph, argnums)
    found = reach(graph)
    findings = list(structural(graph, found))
    seen = observe(graph, args, found.active)
    view = View(graph, found, seen)
    findings += _without_reverse(view)
    findings += nonfinite(view)
    spoiled = any(finding.severity == "error" for finding in findings)
    if not spoiled:
        findings += [*kinks(view), *idle(view)]
    findings += depth(view)
    spectrum = None
    gradient = _gradient(graph, seen, variables)
    if not spoiled:
        if products and gradient is not None:
            spectrum, more = _hardness(view, args, variables, gradient, findings, products)
            findings += more
        findings += numerical(view, findings)
    cost = float(seen.values[graph.outputs[0]])
    return Diagnosis(
        _name(function), cost, float("nan") if gradient is None else gradient, sort(findings), spectrum
    )


def _require_scalar(function: Any, graph: Graph) -> None:
    results = [graph.values[i] for i in graph.outputs]
    if len(results) == 1 and results[0].shape == () and _is_real(results[0].dtype):
        return
    raise InvalidInput(
        f"{_name(function)} returns {', '.join(f'{r.dtype}{list(r.shape)}' for r in results) or 'nothing'}",
        "one real number, the cost: a gradient is of one number",
        "diagnosing its sum or one entry: lambda *args: f(*args).sum()",
    )


def _is_real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _variables(graph: Graph, argnums: int | Sequence[int] | None) -> list[int]:
    """Which of the flattened arguments are to be optimized, by their places."""
    owners = [k for k, tree in enumerate(graph.in_tree.children()) for _ in range(tree.num_leaves)]
    floating = [bool(jnp.issubdtype(graph.values[i].dtype, jnp.floating)) for i in graph.inputs]
    have = sorted({k for k, is_variable in zip(owners, floating, strict=True) if is_variable})
    chosen = have[:1] if argnums is None else [argnums] if isinstance(argnums, int) else list(argnums)
    if argnums is not None and (not chosen or not set(chosen) <= set(have)):
        raise InvalidInput(
            f"argnums={argnums}",
            f"places of arguments with floating-point arrays: {', '.join(map(str, have)) or 'there are none'}",
            "leaving argnums out, which takes the first of them",
        )
    return [n for n, k in enumerate(owners) if k in chosen and floating[n]]


def _without_reverse(view: View) -> list[Finding]:
    found = []
    for number, reason in view.seen.without_reverse.items():
        node = view.graph.nodes[number]
        first = reason.strip().splitlines()[0] if reason.strip() else "it gives no reason"
        sentence = (
            f"JAX has no derivative of {node.operation} in reverse mode, so no gradient passes: {first}"
        )
        remedy = (
            "jax.lax.scan, or fori_loop with a fixed number of turns; or a custom derivative (jax.custom_vjp)"
        )
        found.append(Finding("no reverse mode", "error", node.name, node.source, sentence, remedy))
    return found


def _gradient(graph: Graph, seen: Observed, variables: list[int]) -> float | None:
    """The norm of the gradient in the variables; None where it is not finite or cannot be had."""
    arrived = [seen.cotangents[graph.inputs[n]] for n in variables if graph.inputs[n] in seen.cotangents]
    total = float(np.linalg.norm([norm(g) for g in arrived])) if arrived else 0.0
    return total if np.isfinite(total) and not seen.without_reverse else None


def _hardness(
    view: View,
    args: tuple[Any, ...],
    variables: list[int],
    gradient: float,
    findings: list[Finding],
    products: int,
) -> tuple[Spectrum | None, list[Finding]]:
    """The Hessian's eigenvalues in the variables, and what they and a line through the point say."""
    graph, leaves = view.graph, view.graph.leaves(*args)
    live = [n for n in variables if graph.inputs[n] not in view.reach.cuts]
    if not live or graph.outputs[0] not in view.reach.active:
        return None, []
    point, consts = [jnp.asarray(leaves[n]) for n in live], list(graph.consts)

    def cost(some: list[Any], consts: list[Any]) -> Any:
        full = list(leaves)
        for n, leaf in zip(live, some, strict=True):
            full[n] = leaf
        return graph.run(*jax.tree.unflatten(graph.in_tree, full), consts=consts)[0]

    spectrum = _spectrum(cost, point, consts, products)
    line = sample_line(cost, point, consts)
    said = [*landscape(view, spectrum, line, gradient, findings)]
    if spectrum is None or not said:
        said += second_order(view, [graph.inputs[n] for n in live], spectrum, gradient)
    return spectrum, said


def _spectrum(
    cost: Callable[..., Any], point: list[Any], consts: list[Any], products: int
) -> Spectrum | None:
    flat, unravel = ravel_pytree(point)
    try:
        product = hessian_product(cost, point, consts)
        return lanczos(
            lambda v: ravel_pytree(product(unravel(jnp.asarray(v))))[0], flat.size, flat.dtype, products
        )
    except (TypeError, ValueError, NotImplementedError):  # something inside has no second derivative
        return None


def _name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "the function" if name == "<lambda>" else str(name)
