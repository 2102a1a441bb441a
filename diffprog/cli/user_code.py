"""The user's own function, and the arguments to call it with: `FILE.py:FUNCTION`.

The file is run as `import` runs it, with its own folder first on the path. The arguments come from the file too,
under the name `FUNCTION_args` or another one that was asked for. They are

    a tuple or list    cost_args = (params, x)                  one entry an argument
    a mapping          cost_args = {"x": x, "params": params}   by the names of the arguments
    a function         def cost_args(): return params, x        called once; it returns either of the two

A function whose arguments all have defaults needs none. Nothing is guessed, and nothing is looked for in other files.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from diffprog.errors import DiffprogError, InvalidInput

FORM = "FILE.py:FUNCTION, such as model.py:loss"


class UserFunction(NamedTuple):
    """A function of the user's and its positional arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    title: str  # "loss of model.py"
    path: Path


def load(text: str, args_name: str | None = None) -> UserFunction:
    """Run the file, and find the function and its arguments in it.

    Args:
        text: `FILE.py:FUNCTION`.
        args_name: what the arguments are called in the file; None: `FUNCTION_args`.

    Raises:
        InvalidInput: another form; a file that is not there or fails; a function that is not in it or is not one; no
            arguments, or others than the function takes.
    """
    file, _, name = text.rpartition(":")
    if not file or not name:
        raise InvalidInput(f"{text!r}", FORM, f"{text if text.endswith('.py') else 'model.py'}:FUNCTION")
    path = Path(file)
    module = run_file(path)
    function = _named(module, name, path)
    if not callable(function):
        raise InvalidInput(
            f"{name} in {path.name}, which is a {type(function).__name__}",
            "a function of arrays",
            _functions_of(module),
        )
    wanted = args_name or f"{name.replace('.', '_')}_args"
    return _with_arguments(
        function, _arguments(module, wanted, function, name, path, bool(args_name)), name, path
    )


@contextlib.contextmanager
def running(user: UserFunction) -> Iterator[None]:
    """Say which line of the file is to blame when the user's function fails in the body of the `with`.

    Raises:
        InvalidInput: in place of any error that is not one of this package's.
    """
    try:
        yield
    except DiffprogError:
        raise
    except Exception as error:
        raise InvalidInput(
            f"{user.title}{where(error, user.path)}, which fails: {first_line(error)}",
            "a JAX function of its arguments",
            "calling it with them in Python, or --debug, to see where; then correct it or them",
        ) from error


def run_file(path: Path) -> ModuleType:
    """Import a file by its path.

    Raises:
        InvalidInput: it is not there, is no Python, or fails.
    """
    if not path.is_file():
        got = f"{path}, which is a folder" if path.is_dir() else f"{path}, which is not there"
        raise InvalidInput(got, f"a Python file: {FORM}", _files_near(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{path}", f"a Python file, ending in .py: {FORM}", f"{path.stem}.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(
            0, folder
        )  # as `python FILE.py` does, and for good: its functions may import when called
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _failure(path, error) from error
    finally:
        if before is not None:  # a file called like a module of ours or of the library stands in nobody's way
            sys.modules[path.stem] = before
    return module


def where(error: BaseException, path: Path) -> str:
    """The last line of the user's file that an error passed through: ", line 7", or nothing."""
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}" if error.lineno else ""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f", line {lines[-1]}" if lines else ""


def first_line(error: BaseException) -> str:
    """What an error is and says, in one line."""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _failure(path: Path, error: BaseException) -> InvalidInput:
    if isinstance(error, SystemExit):
        remedy = 'putting what only a script should do under `if __name__ == "__main__":`'
        return InvalidInput(
            f"{path}{where(error, path)}, which ends Python when imported", "a file to import", remedy
        )
    return InvalidInput(
        f"{path}{where(error, path)}, which fails when imported: {first_line(error)}",
        "a Python file that runs from top to bottom",
        f"python {path}, or --debug, to see where; then correct it",
    )


def _files_near(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    found = sorted(file.name for file in folder.glob("*.py")) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, found, n=3, cutoff=0.3) or found[:3]
    return ", ".join(str(folder / name) for name in near) if near else "the path of your file"


def _named(module: ModuleType, name: str, path: Path) -> Any:
    try:
        return functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        raise InvalidInput(
            f"no {name!r} in {path.name}",
            "a function of arrays that is defined there",
            _functions_of(module, name),
        ) from None


def _functions_of(module: ModuleType, like: str = "") -> str:
    own = [
        name
        for name, thing in vars(module).items()
        if callable(thing)
        and not name.startswith("_")
        and getattr(thing, "__module__", "") == module.__name__
    ]
    near = difflib.get_close_matches(like, own, n=3, cutoff=0.0) if like else own[:5]
    return ", ".join(near) if near else f"def {like or 'cost'}(x): ..., which the file has not got"


def _arguments(
    module: ModuleType, wanted: str, function: Callable[..., Any], name: str, path: Path, asked: bool
) -> Any:
    if not hasattr(module, wanted):
        if not asked and not _needs_arguments(function):
            return ()
        raise InvalidInput(
            f"{name} of {path.name} without arguments: there is no {wanted!r} in the file",
            "what to call it with: a tuple, a mapping by name, or a function that returns one of them",
            f"{wanted} = (...) in {path.name}, or --args with the name that it has there",
        )
    found = getattr(module, wanted)
    if not callable(found):
        return found
    try:
        return found()
    except Exception as error:
        raise InvalidInput(
            f"{wanted}() of {path}{where(error, path)}, which fails: {first_line(error)}",
            f"a function without arguments that returns those of {name}",
            "--debug, to see where it fails",
        ) from error


def _needs_arguments(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _with_arguments(function: Callable[..., Any], given: Any, name: str, path: Path) -> UserFunction:
    """Put arguments in the order of the function's own; those that go by keyword only are fixed."""
    title = f"{name} of {path.name}"
    by_name = isinstance(given, Mapping)
    positional = tuple(given) if isinstance(given, tuple | list) else () if by_name else (given,)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin, or an object without a signature
        return UserFunction(function, positional, title, path)
    try:
        bound = signature.bind(**given) if by_name else signature.bind(*positional)
    except TypeError as error:
        raise InvalidInput(
            f"arguments that {title} does not take: {error}",
            f"arguments for {name}{signature}",
            "a tuple in this order, or a mapping with these names",
        ) from None
    if bound.kwargs:
        function = functools.partial(function, **bound.kwargs)
    return UserFunction(function, bound.args, title, path)
