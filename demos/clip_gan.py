"""The lecture's last figure with real networks in it: a sentence becomes e_1, a latent becomes a picture becomes e_2.

    "a person wearing sunglasses" --- MiniLM, classes ---> e_1
                                                            |  similarity J
    z --- DCGAN ---> picture --- views, EfficientNet ---> e_2
    dJ/dz <--------- dJ/dpicture <-------------------- dJ/de_2

Draws the four stages for one latent, before and after: the distribution e_1 that the words make over the classes, the
picture, e_2, the gradient's size where it passes through the picture, and the similarity step by step.

    python demos/clip_gan.py [--prompt WORDS] [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

import diffprog as dp
from diffprog.guide.program import Program
from diffprog.guide.targets import Target, targets
from diffprog.guide.views import whole

matplotlib.use("Agg")
import matplotlib.pyplot as plt

MOST = 6
WAY = "\n".join(line[4:] for line in (__doc__ or "").split("\n\n")[1].splitlines())


def letters(sentences: Any) -> jax.Array:
    """A stand-in for a sentence encoder: counts of letters."""
    rows = [np.bincount([ord(c) % 26 for c in one.lower() if c.isalpha()], minlength=26) for one in sentences]
    return jnp.asarray(np.stack(rows) + 0.1, jnp.float32)


def parts(small: bool) -> tuple[Any, Any, Any]:
    """Generator, scorer and classifier: real ones, or small ones that need no download."""
    if small:
        from diffprog.vision.canvases import Fourier

        net = dp.models.load("squeezenet")
        return dp.generators.canvas(Fourier(decay=1.5), 64), dp.scorers.words(net, letters), net
    net = dp.models.load("efficientnet-lite0")
    return dp.generators.as_generator(dp.models.load("dcgan-faces")), dp.scorers.words(net), net


def draw_classes(axis: Any, log_p: Any, net: Any, title: str) -> None:
    """The likeliest classes of a log-distribution."""
    order = np.argsort(-np.asarray(log_p))[:MOST][::-1]
    axis.barh([net.labels[i].split(",")[0][:18] for i in order], np.exp(np.asarray(log_p)[order]))
    axis.set_xlim(0, 1)
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)


def draw_picture(axis: Any, picture: Any, title: str, **options: Any) -> None:
    """A picture without axes."""
    axis.imshow(picture, **options)
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()


def by_picture(program: Program, target: Target, picture: Any) -> jax.Array:
    """dJ/dpicture [H, W, 3]."""
    return jax.grad(lambda image: program.plain(image, target, program.consts))(jnp.asarray(picture))


def by_latent(program: Program, z: Any, slope: jax.Array) -> float:
    """|dJ/dz|: dJ/dpicture, carried on through the generator."""
    _, back = jax.vjp(lambda z: program.image(z, program.consts), z)
    return float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(back(slope)))))


def draw(made: Any, generator: Any, scorer: Any, net: Any, path: Path) -> None:
    """The figure: the way, the words, and for the best member what is before and after."""
    best = made.best
    target = jax.tree.map(lambda leaf: leaf[0], targets([made.prompts[best]], scorer))
    program = Program(generator, scorer, dp.augments.WHOLE, dp.priors.Free())
    figure = plt.figure(figsize=(13, 7.2), layout="constrained")
    top, rest = figure.subfigures(2, 1, height_ratios=(1, 5.2))
    text = {"family": "monospace", "fontsize": 11, "multialignment": "left"}
    top.text(0.5, 0.5, WAY, ha="center", va="center", **text)
    axes = rest.subplots(2, 4)
    draw_classes(axes[0, 0], target.vectors[0], net, f"e_1 of '{made.prompts[best]}'")
    draw_scores(axes[1, 0], made.history["plain"], best)
    rows = (
        ("before", made.start_images[best], made.start_scores[best]),
        ("after", made.images[best], made.scores[best]),
    )
    for row, (when, picture, score) in enumerate(rows):
        draw_picture(axes[row, 1], picture, f"G(z) {when}")
        e_2 = scorer.look(whole(jnp.asarray(picture)[None], scorer.size))[0]
        draw_classes(axes[row, 2], e_2, net, f"e_2 {when}: J = sim(e_1, e_2) = {score:.2f}")
        slope = by_picture(program, target, picture)
        draw_picture(axes[row, 3], jnp.abs(slope).sum(-1), f"|dJ/dpicture| {when}", cmap="magma")
    length = by_latent(program, jax.tree.map(lambda leaf: jnp.asarray(leaf[best]), made.latents), slope)
    axes[1, 3].set_title(f"|dJ/dpicture| after; |dJ/dz| = {length:.2g}", fontsize=10)
    figure.savefig(path, dpi=100)
    print(path)


def draw_scores(axis: Any, scores: Any, best: int) -> None:
    """J of every member [steps, n], the one that is shown drawn strongly."""
    for member, curve in enumerate(np.asarray(scores).T):
        axis.plot(
            curve, color="black" if member == best else "0.7", linewidth=1.5, zorder=2 + (member == best)
        )
    axis.set_title("J, step by step (black: the one shown)", fontsize=10)
    axis.set_xlabel("step")


def main() -> None:
    """Guide, and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompt", default="a person wearing sunglasses")
    parser.add_argument(
        "--small", action="store_true", help="a canvas, SqueezeNet, letters for words, three steps"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    generator, scorer, net = parts(options.small)
    n, steps, screen = (1, 3, 1) if options.small else (4, options.steps, 32)
    made = dp.guide(
        options.prompt, generator=generator, scorer=scorer, n=n, steps=steps, screen=screen, key=options.seed,
        progress=True,
    )  # fmt: skip
    draw(made, generator, scorer, net, options.out / "clip_gan.png")


if __name__ == "__main__":
    main()
