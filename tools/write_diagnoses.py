"""Write docs/diagnose.md from the gallery, by diagnosing all of it.  python -m tools.write_diagnoses"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np

from diffprog.graph import Diagnosis, diagnose
from tests.graph.gallery import HEALTHY, SICK, Case

PAGE = Path(__file__).parent.parent / "docs/diagnose.md"
HEAD = """# Which are differentiable? Which will be hard to optimize?

`diagnose(cost, *args)` looks at a cost at one point and says in sentences what stands in the way of a gradient method.
Each finding names the node of the graph and the line of the program it comes from, and what to try.

```python
import jax.numpy as jnp

import diffprog as dp


def length(x):
    return jnp.sqrt(jnp.sum(x**2))


diagnosis = dp.diagnose(length, jnp.zeros(3))
print(diagnosis)
assert not diagnosis.healthy
assert [finding.node for finding in diagnosis.findings] == ["sqrt"]
assert dp.diagnose(length, jnp.ones(3)).healthy
```

On a terminal, for a function of your own: `diffprog diagnose FILE.py:FUNCTION`. Its arguments are in the same file
under the name `FUNCTION_args`, or another one that `--args` gives: a tuple, a mapping, or a function that returns one
of these.

Three looks are taken. The structure of the program says which arguments can get a gradient at all; JAX itself is asked
where a derivative is zero whatever the numbers. One sweep forward and backward says what the numbers at this point do.
Hessian-vector products, with the method of Lanczos, and the cost along one line say how hard the cost is near this
point; they are taken in the first argument, or in `argnums`. `products=0` leaves them out.

| kind | severity | what was found |
|---|---|---|
| no gradient | warning | all paths to the cost are cut: `round`, `sign`, comparisons, integers, `stop_gradient` |
| unused argument | warning, or note | the cost does not depend on it; on a part of it only is a note |
| no reverse mode | error | JAX has no backward pass of a node: `while` |
| not finite | error | the first node where a NaN or an infinity appears, forward or backward |
| where trap | error | a value that `jnp.where` throws away sends back 0 times infinity |
| undefined derivative | error, warning | a derivative is infinite here; or most entries are at a kink |
| undefined derivative | note | a few entries lie at a kink; JAX's convention is said |
| dead units | warning | nearly all units of a hidden layer are off for every example; from one half on it is a note |
| saturated units, saturated softmax | warning | nearly all entries have next to no slope; distributions are one-hot |
| vanishing gradient, exploding gradient | warning | the cotangent's norm falls or grows steadily from layer to layer |
| ill-conditioned | warning | the Hessian's condition number is 1000 or more; below that, a note says the rates |
| saddle | warning | the gradient is 0 and the Hessian has a negative eigenvalue |
| plateau | warning | gradient and Hessian are 0, but it is no minimum of anything curved |
| rugged cost | warning | the cost turns many times along a line as long as the variables are large |
| zero gradient | warning, or note | a gradient that is all zeros here although a path exists |
| negative curvature, flat directions, conditioning | note | how the cost is curved; usual for networks |
| no second derivative, no curvature | note | the node at which second-order methods fail |

A point is healthy if there is nothing worse than a note. What is not seen: steps inside a loop or branch of which some
other path leads out, ties within the windows of a pool, and anything that another point would show.

## Functions of one number, and their derivatives

Solid: the function. Dashed: what `jax.grad` says is its derivative. Where the dashed line is 0 everywhere, no gradient
method has anything to go by; where it jumps, there is a kink; where it swings, the nearest minimum is one of many.

![Functions of one number, each next to its derivative](images/diagnose.png)

## The gallery

What follows is printed by `diagnose` itself, on the functions of `tests/graph/gallery.py`; `tools/write_diagnoses.py`
writes this page, and a test holds it to the gallery.

### Sick

"""
MIDDLE = """### Healthy

Of none of these does `diagnose` say anything worse than a note.

| function | notes |
|---|---|
"""


def page(diagnoses: Callable[[Case], Diagnosis]) -> str:
    """The whole page, from a function that diagnoses a case."""
    sick = "\n".join(_entry(name, case, diagnoses(case)) for name, case in SICK.items())
    healthy = "".join(_row(name, diagnoses(case)) for name, case in HEALTHY.items())
    return HEAD + sick + "\n" + MIDDLE + healthy


def without_figures(text: str) -> str:
    """The text with every figure that another processor may round otherwise replaced; line numbers are kept."""
    return re.sub(r"(?<!py:)(?<![\w.])-?\d[\d.]*(e[+-]?\d+)?", "#", " ".join(text.split()))


def _entry(name: str, case: Case, diagnosis: Diagnosis) -> str:
    code = textwrap.dedent(inspect.getsource(case.function)).rstrip()
    title = name if "_" in name else name[0].upper() + name[1:]
    return f"#### {title}\n\nPoint: {_point(case)}.\n\n```text\n{code}\n```\n\n```text\n{diagnosis}\n```\n"


def _point(case: Case) -> str:
    names = inspect.signature(case.function).parameters
    return case.at or ", ".join(
        f"`{n} = {np.asarray(arg).tolist():.4g}`"
        if np.ndim(arg) == 0
        else f"`{n} = {np.asarray(arg).tolist()}`"
        for n, arg in zip(names, case.args, strict=True)
    )


def _row(name: str, diagnosis: Diagnosis) -> str:
    notes = "; ".join(f"{finding.kind}: {finding.sentence}" for finding in diagnosis.findings)
    return f"| {name} | {notes.replace('|', ' ') or 'none'} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(lambda case: diagnose(case.function, *case.args)), encoding="utf-8")
