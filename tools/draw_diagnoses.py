"""Draw docs/images/diagnose.png: functions of one number next to their derivatives.  python -m tools.draw_diagnoses"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from tests.graph.gallery import GALLERY, SICK

PICTURE = Path(__file__).parent.parent / "docs/images/diagnose.png"
POINTS, COLUMNS = 1001, 4
BLUE, ORANGE, GREY = "#0b5fa5", "#c8500a", "#808080"


def draw(path: Path) -> None:
    """One panel a function: its values, its derivative, and the point of the diagnosis."""
    cases = {
        name: case for name, case in GALLERY.items() if case.plot and name != "abs"
    }  # drawn as "abs at 0"
    rows = -(-len(cases) // COLUMNS)
    figure, panels = plt.subplots(rows, COLUMNS, figsize=(11, 2.3 * rows), layout="constrained")
    for panel in panels.flat[len(cases) :]:
        panel.axis("off")
    for panel, (name, case) in zip(panels.flat, cases.items(), strict=False):
        x = jnp.linspace(*case.plot, POINTS)
        jumps = name in ("step", "sign", "floor", "integer cast", "round")
        panel.plot(x, _broken(jax.vmap(case.function)(x), jumps), color=BLUE, linewidth=1.6)
        slopes = panel.twinx() if "frequency" in name else panel  # of another size than the values
        slopes.plot(x, _broken(jax.vmap(jax.grad(case.function))(x), True), "--", color=ORANGE, linewidth=1.2)
        if slopes is not panel:
            slopes.tick_params(labelsize=7, colors=ORANGE)
        panel.plot(case.args[0], case.function(case.args[0]), "o", color="black", markersize=4)
        title = f"{name}: {' and '.join(case.kinds)}" if name in SICK else f"{name}: healthy"
        panel.set_title(title, fontsize=8)
        panel.tick_params(labelsize=7)
        panel.axhline(0, color=GREY, linewidth=0.5, zorder=0)
        if name == "sqrt at 0":
            panel.set_ylim(-0.2, 4)
    handles = [
        plt.Line2D([], [], color=BLUE, label="function"),
        plt.Line2D([], [], color=ORANGE, linestyle="--", label="derivative, as jax.grad has it"),
        plt.Line2D([], [], color="black", marker="o", linestyle="", label="point of the diagnosis"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=100)


def _broken(values: jax.Array, jumps: bool) -> jax.Array:
    """With a gap where a line would be drawn through a jump."""
    if not jumps:
        return values
    changes = jnp.abs(jnp.diff(values, append=values[-1:]))
    return jnp.where(changes > 0.05 * jnp.ptp(jnp.where(jnp.isfinite(values), values, 0)), jnp.nan, values)


if __name__ == "__main__":
    draw(PICTURE)
