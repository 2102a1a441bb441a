"""`diffprog diagnose FILE.py:FUNCTION`: what is wrong with a cost of the user's own."""

from __future__ import annotations

from pathlib import Path

from diffprog.cli.user_code import first_line, load, where
from diffprog.errors import DiffprogError, InvalidInput
from diffprog.graph.diagnose import diagnose
from diffprog.graph.findings import Diagnosis


def diagnosis(text: str, args_name: str | None, argnums: list[int], products: int) -> Diagnosis:
    """Load a function and its arguments from a file, and diagnose it.

    Args:
        text: `FILE.py:FUNCTION`.
        args_name: what the arguments are called in the file; None: `FUNCTION_args`.
        argnums: the arguments to be optimized; none: the first that can be.
        products: Hessian-vector products to take.

    Raises:
        InvalidInput: there is no such file, function or arguments; the function fails, or is no cost.
    """
    function, args, title = load(text, args_name)
    try:
        return diagnose(function, *args, argnums=argnums or None, products=products)
    except DiffprogError:
        raise
    except Exception as error:
        place = where(error, Path(text.rpartition(":")[0]))
        if not place:  # not in the user's file: not the user's to change
            raise
        raise InvalidInput(
            f"{title}{place}, which fails: {first_line(error)}",
            "a function of arrays that JAX can trace: no Python `if` or `while` on their values, no NumPy on them",
            "jnp.where, jax.lax.cond or jax.lax.scan in their place; --debug to see where it fails",
        ) from error
