"""`diffprog diagnose FILE.py:FUNCTION`: what is wrong with a cost of the user's own."""

from __future__ import annotations

from diffprog.cli import user_code
from diffprog.graph.diagnosis.diagnose import diagnose
from diffprog.graph.diagnosis.findings import Diagnosis


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
    user = user_code.load(text, args_name)
    with user_code.running(user):
        return diagnose(user.function, *user.args, argnums=argnums or None, products=products)
