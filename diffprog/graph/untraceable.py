"""Why a function cannot be traced, in words: which line, and what to write there instead.

A traced function runs once, on stand-ins for its arrays that have a shape and a dtype and no values. What asks a
stand-in for its value, keeps one for later, or is no array at all, cannot become a graph. JAX's own error is chained.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import re
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax

from diffprog.errors import InvalidInput
from diffprog.graph.node import Source

_HERE = os.path.dirname(os.path.dirname(__file__))
_MECHANISM = (os.path.join(_HERE, "rules"), os.path.join(_HERE, "graph"))
_INSTALLED = sysconfig.get_paths()["purelib"]

_INSTEAD = (
    "values are known only when the graph runs; jnp.where, jax.lax.cond or jax.lax.while_loop choose by value"
)
# What was done with a stand-in, and what to do instead; the first class that fits.
_CAUSES: tuple[tuple[type[Exception], str, str], ...] = (
    (jax.errors.TracerBoolConversionError, "Python branches on an array's value", _INSTEAD),
    (
        jax.errors.NonConcreteBooleanIndexError,
        "an array is indexed by a mask, so that its shape would depend on values",
        "jnp.where(mask, x, 0), which keeps the shape",
    ),
    (
        jax.errors.TracerArrayConversionError,
        "NumPy is given an array whose values are not known yet",
        "the function of the same name in jax.numpy, or jax.pure_callback",
    ),
    (
        jax.errors.TracerIntegerConversionError,
        "an array is used as a Python integer",
        "a Python number that is not an argument, or jnp.take and jax.lax.dynamic_slice",
    ),
    (
        jax.errors.ConcretizationTypeError,
        "an array's value is needed as a Python number",
        f"keep it an array; {_INSTEAD}",
    ),
    (
        jax.errors.UnexpectedTracerError,
        "an array of an earlier trace was kept outside of the function: a side effect",
        "return it as a result, and tap it by name, in place of storing it in a list, a global or an attribute",
    ),
)


def innermost(frames: Iterable[Source]) -> Source | None:
    """The innermost line of the caller's own code, or of a library's if there is no other; innermost first."""
    found = list(frames)
    outside = [frame for frame in found if not frame.file.startswith(_MECHANISM)]
    own = [frame for frame in outside if not frame.file.startswith(_INSTALLED)]
    return next(iter(own or outside or found), None)


@contextlib.contextmanager
def explained(function: Callable[..., Any]) -> Iterator[None]:
    """Turn JAX's errors about stand-ins into an `InvalidInput` that names the line of the caller's code.

    Raises:
        InvalidInput: the body of the `with` asked a stand-in for what it has not.
    """
    try:
        yield
    except (TypeError, IndexError, jax.errors.UnexpectedTracerError) as error:
        found = _cause(error)
        if found is None:
            raise
        what, remedy = found
        raise InvalidInput(
            got=f"{_name(function)} cannot be traced: {what}{_where(error)}",
            expected="a program that does the same for all values of one shape",
            remedy=remedy,
        ) from error


def _cause(error: Exception) -> tuple[str, str] | None:
    """What was done and what to do instead; None for an error that is not about stand-ins."""
    if "1D sequences of concrete values" in str(error):  # JAX has no class of its own for this one
        return (
            "an array's value is used as a shape",
            "a Python number that is not an argument; x.shape[0] is one",
        )
    return next(((what, remedy) for cause, what, remedy in _CAUSES if isinstance(error, cause)), None)


def check_function(function: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(function):
        raise InvalidInput(
            got=f"{function!r:.60}, a {type(function).__name__}, as the function",
            expected="a function of arrays, or a module that can be called",
            remedy="the function first, then its arguments: trace(f, x)",
        )


def check_arrays(leaves: Mapping[str, Any]) -> None:
    """Refuse arguments that are no arrays and no numbers, by name."""
    for name, leaf in leaves.items():
        if not hasattr(leaf, "dtype") and not isinstance(leaf, bool | int | float | complex):
            raise InvalidInput(
                got=f"the argument {name} is a {type(leaf).__name__}: {leaf!r:.60}",
                expected="arrays, numbers, jax.ShapeDtypeStructs, or pytrees of them: what can flow in a graph",
                remedy=f"give it beforehand: trace(functools.partial(f, {name.split('[')[0]}=...), ...)",
            )


def check_results(function: Callable[..., Any], out: Any) -> None:
    """Refuse results that are no arrays and no numbers, by where they are in what the function returned."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(out):
        if not hasattr(leaf, "dtype") and not isinstance(leaf, bool | int | float | complex):
            raise InvalidInput(
                got=f"{_name(function)} returns a {type(leaf).__name__}: "
                f"result{jax.tree_util.keystr(path)} is {leaf!r:.60}",
                expected="arrays, numbers, or pytrees of them",
                remedy="return the arrays only: lambda *args: f(*args)[0]",
            )


def _where(error: BaseException) -> str:
    """Which line of the caller's code an error came from, as it is written."""
    if isinstance(error, jax.errors.UnexpectedTracerError):
        return _where_made(error)
    frames = [
        Source(frame.filename, frame.lineno or 0, frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    source = innermost(reversed(frames))
    if source is None:
        return ""
    line = linecache.getline(source.file, source.line).strip()
    return f" at {source}" + (f": `{textwrap.shorten(line, 80)}`" if line else "")


def _where_made(error: jax.errors.UnexpectedTracerError) -> str:
    """Which line made the array that was kept; where it was used says nothing of where it was kept."""
    found = re.search(r"created on line (.+?):(\d+)(?::\d+)? \((.+?)\)", str(error))
    return f" (it was made at {Source(found[1], int(found[2]), found[3])})" if found else ""


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
