"""A small network of seeded weights, and a sweep of it as a script: `python -m tests.vision.sweeps.network FOLDER`.

With `--some` it draws `SOME` only. With `--killed` it imports everything once, starts no backend, and then forks a
sweep for every line `PICTURES SECONDS` that it reads: that sweep is killed so long after it drew so many pictures, and
how it ended is answered, `-9` if by the kill.
"""

import os
import signal
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

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
SOME = {"layers": "layer1/relu", "channels": range(6)}  # not a multiple of the devices
KERNELS = [
    np.random.default_rng(i).standard_normal(shape, np.float32) / 5
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


def run(folder, layers=("layer0/relu", "layer1/relu"), **changes):
    """The sweep that the tests stop, kill and go on with."""
    return sweep(network, layers, folder, recipe=RECIPE, key=3, **changes)


class Telling:
    """A progress that writes a byte for every picture."""

    def __init__(self, pipe: int):
        self.pipe = pipe

    def __call__(self, total: int):
        return self

    def __enter__(self):
        return lambda done, part: os.write(self.pipe, b".")

    def __exit__(self, *error: object):
        pass


def killed(folder: str, pictures: int, seconds: float) -> int:
    """Fork a sweep and kill it after so many pictures and so long; its exit status."""
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        os.close(heard)
        run(folder, progress=Telling(told))
        os._exit(0)
    os.close(told)
    for _ in range(pictures):
        os.read(heard, 1)  # nothing where the sweep has come to its end
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.close(heard)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    if "--killed" in sys.argv:
        print("ready", flush=True)
        for line in sys.stdin:
            count, wait = line.split()
            print(killed(sys.argv[1], int(count), float(wait)), flush=True)
    else:
        print(run(sys.argv[1], **(SOME if "--some" in sys.argv else {})).drawn, flush=True)
