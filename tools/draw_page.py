"""Draw docs/images/backprop_page.png: a sweep on its page, in headless Chromium.  python -m tools.draw_page"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
from PIL import Image
from playwright.sync_api import sync_playwright

from diffprog.graph import backprop

PICTURE = Path(__file__).parent.parent / "docs/images/backprop_page.png"
COLOURS = 256  # enough for flat colours and smooth letters, at a third of the bytes


def cost(params, x):
    """A trunk, two branches that share a parameter, and their merge."""
    with jax.named_scope("trunk"):
        h = jnp.tanh(params["W"] @ x)
    with jax.named_scope("left"):
        left = jnp.sin(params["V"] @ h)
    with jax.named_scope("right"):
        right = jax.nn.relu(params["V"] @ h)
    return jnp.sum(left * right)


def draw() -> None:
    """Step to the join of the two branches, and take the picture."""
    params = {"W": jnp.array([[1.0, -3.0], [0.2, 1.0]]), "V": jnp.array([[0.5, -1.0], [1.5, 0.3]])}
    steps = backprop(cost, params, jnp.array([1.0, 0.1]))
    join = next(k for k, step in enumerate(steps.steps) if len(step.contributions[0]) > 1)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = steps.save(Path(folder) / "steps.html", title="Branch and merge")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1040, "height": 740})
        page.goto(path.as_uri())
        page.wait_for_selector("body.ready")
        for _ in range(join + 1):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("f")
        page.wait_for_timeout(600)  # until everything has moved
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


if __name__ == "__main__":
    draw()
