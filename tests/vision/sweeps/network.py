"""A small network of seeded weights, and a sweep of it as a script: `python -m tests.vision.sweeps.network FOLDER`."""

import sys

import jax
import jax.numpy as jnp

from diffprog.vision import canvases, sweep, transforms
from diffprog.vision.recipes import Recipe

CHANNELS = 12
RECIPE = Recipe(
    size=24,
    steps=6,
    canvas=canvases.Fourier(),
    transforms=(transforms.Shift(2.0),),
    redirect_steps=2,
    redirect_always=False,
)
KERNELS = [
    jax.random.normal(jax.random.key(i), shape) / 5
    for i, shape in enumerate([(5, 5, 3, 8), (3, 3, 8, CHANNELS)])
]


def network(images: jax.Array) -> jax.Array:
    """Two convolutions, pooled: [B, H, W, 3] -> [B, 12]."""
    x = images - 0.5
    for number, kernel in enumerate(KERNELS):
        with jax.named_scope(f"layer{number}"):
            x = jax.lax.conv_general_dilated(
                x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x)
    return jnp.mean(x, (1, 2))


def run(folder, **changes):
    """The sweep that the tests stop, kill and go on with."""
    return sweep(network, ["layer0/relu", "layer1/relu"], folder, recipe=RECIPE, key=3, **changes)


if __name__ == "__main__":
    print("ready", flush=True)
    print(run(sys.argv[1]).drawn, flush=True)
