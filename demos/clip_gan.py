"""The lecture's last figure with real networks in it: a sentence becomes e_1, a latent becomes a picture becomes e_2.

    "a person wearing sunglasses" --- MiniLM, classes ---> e_1
                                                            |  similarity J
    z --- DCGAN ---> picture --- views, EfficientNet ---> e_2
    dJ/dz <--------- dJ/dpicture <-------------------- dJ/de_2

Draws the four stages for one latent, before and after: the distribution e_1 that the words make over the classes, the
picture, the gradient's size where it passes through the picture, e_2, and the similarity step by step.

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
from diffprog.guide.targets import targets

matplotlib.use("Agg")
import matplotlib.pyplot as plt

MOST = 6


def letters(sentences: Any) -> jax.Array:
    """A stand-in for a sentence encoder: counts of letters."""
    rows = [np.bincount([ord(c) % 26 for c in one.lower() if c.isalpha()], minlength=26) for one in sentences]
    return jnp.asarray(np.stack(rows) + 0.1, jnp.float32)


def parts(small: bool) -> tuple[Any, Any, Any]:
    """Generator, scorer and classifier: real ones, or small ones that need no download."""
    if small:
        from diffprog.vision.canvas import Fourier

        net = dp.models.load("squeezenet")
        return dp.generators.canvas(Fourier(decay=1.5), 64), dp.scorers.words(net, letters), net
    net = dp.models.load("efficientnet-lite0")
    return dp.generators.as_generator(dp.models.load("dcgan-faces")), dp.scorers.words(net), net


def stages(program: Program, scorer: Any, target: Any, z: Any) -> dict[str, np.ndarray]:
    """Everything along the way of one latent, and the gradient of J at each stage."""

    def similarity_of(image: jax.Array) -> jax.Array:
        return program.plain(image, target, program.consts)

    image, back = jax.vjp(lambda z: program.image(z, program.consts), z)
    value, at_image = jax.value_and_grad(similarity_of)(image)
    (at_z,) = back(at_image)
    e_2 = scorer.look(dp.rules.resize(image[None], (1, scorer.size, scorer.size, 3), "bicubic").clip(0, 1))[0]
    found = {"image": image, "J": value, "dJ/dimage": at_image, "e_2": e_2}
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(at_z)))
    return {name: np.asarray(leaf) for name, leaf in (found | {"|dJ/dz|": norm}).items()}


def bars(axis: Any, log_p: np.ndarray, net: Any, title: str) -> None:
    """The likeliest classes of a log-distribution."""
    order = np.argsort(-log_p)[:MOST][::-1]
    axis.barh([net.labels[i].split(",")[0][:18] for i in order], np.exp(log_p[order]), color="tab:blue")
    axis.set_xlim(0, 1)
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompt", default="a person wearing sunglasses")
    parser.add_argument(
        "--small", action="store_true", help="a canvas, SqueezeNet, letters for words, three steps"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("."))
    options = parser.parse_args()
    generator, scorer, net = parts(options.small)
    n, steps, screen = (1, 3, 1) if options.small else (4, 120, 32)
    made = dp.guide(
        options.prompt, generator=generator, scorer=scorer, n=n, steps=steps, screen=screen, key=options.seed,
        progress=True,
    )  # fmt: skip
    target = jax.tree.map(lambda leaf: leaf[0], targets([made.prompts[0]], scorer))
    program = Program(generator, scorer, dp.augments.WHOLE, dp.priors.Free())
    best = made.best
    first = dp.generators.checked(generator, jax.random.key(0))
    rows = {
        "before": made.start_images[best],
        "after": made.images[best],
    }
    figure, axes = plt.subplots(2, 4, figsize=(15, 6.4), layout="constrained")
    latent = jax.tree.map(lambda leaf: jnp.asarray(leaf[best]), made.latents)
    seen = stages(program, scorer, target, latent)
    bars(axes[0, 0], np.asarray(target.vectors[0]), net, f"e_1 of '{options.prompt}'")
    for row, (when, picture) in enumerate(rows.items()):
        axis = axes[row, 1]
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(f"G(z) {when}, {first[0]} x {first[1]} pixels", fontsize=10)
        axis.set_axis_off()
        image = jnp.asarray(picture)[None]
        e_2 = scorer.look(dp.rules.resize(image, (1, scorer.size, scorer.size, 3), "bicubic").clip(0, 1))[0]
        score = made.start_scores[best] if row == 0 else made.scores[best]
        bars(axes[row, 2], np.asarray(e_2), net, f"e_2 {when}; J = sim(e_1, e_2) = {score:.2f}")
    axes[0, 3].imshow(np.abs(seen["dJ/dimage"]).sum(-1), cmap="magma")
    axes[0, 3].set_title(f"|dJ/dpicture| after; |dJ/dz| = {seen['|dJ/dz|']:.2g}", fontsize=10)
    axes[0, 3].set_axis_off()
    axes[1, 3].plot(made.history["plain"])
    axes[1, 3].set_title("J of the picture as it is, every member", fontsize=10)
    axes[1, 3].set_xlabel("step")
    axes[1, 0].set_axis_off()
    axes[1, 0].text(0, 0.5, __doc__.split("\n\n")[1].replace("    ", "", 1), family="monospace", fontsize=6.5)
    path = options.out / "clip_gan.png"
    figure.savefig(path, dpi=100)
    print(path)


if __name__ == "__main__":
    main()
