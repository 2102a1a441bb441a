"""Small seeded stand-ins: a generator of 8 x 8 pictures and a scorer whose words are colours."""

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.guide import Generator, Scorer
from diffprog.guide.similarity import cosine

LATENT, PIXELS, SEEN = 6, 8, 12
WORDS = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0), "grey": (1.0, 1.0, 1.0)}
MIX = jax.random.normal(jax.random.key(7), (LATENT, PIXELS * PIXELS * 3))


def images(z):
    """A linear picture of the latent through a sigmoid."""
    return jax.nn.sigmoid((z @ MIX).reshape(-1, PIXELS, PIXELS, 3) / 2)


GENERATOR = Generator("toy", lambda key: jax.random.normal(key, (LATENT,)), images, normal=True)


def look(pictures):
    """How far the mean colour lies from mid-grey."""
    return pictures.mean((1, 2)) - 0.5


def read(sentences):
    """Colours by name; the mean colour of several words."""
    return jnp.array([np.mean([WORDS[word] for word in one.split()], axis=0) for one in sentences])


SCORER = Scorer("colours", SEEN, look, read, cosine)
