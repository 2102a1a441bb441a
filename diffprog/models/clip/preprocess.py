"""What CLIP does to a picture before its image tower sees it: resize, crop the centre, normalize; all differentiable.

    shorter side to `size` (bicubic as Pillow's, antialiased), `size` x `size` in the middle, (x - mean) / deviation

Pictures that have the size already are only normalized. The published programs resize 8-bit pictures, so their values
are rounded to 1/255 in between; here they are not, and differ by about half of that.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from diffprog import rules


def preprocess(
    images: jax.Array, size: int, mean: tuple[float, ...], deviation: tuple[float, ...]
) -> jax.Array:
    """Pictures as an image tower wants them.

    Args:
        images: float32[B, H, W, 3], RGB in [0, 1].
        size: of the tower's pictures.
        mean: of red, green and blue in [0, 1].
        deviation: of red, green and blue.

    Returns:
        float32[B, size, size, 3] of about mean 0 and deviation 1.

    Example:
        >>> import jax.numpy as jnp
        >>> preprocess(jnp.full((1, 4, 6, 3), 0.5), 2, (0.5, 0.5, 0.0), (1.0, 1.0, 0.5)).shape
        (1, 2, 2, 3)
    """
    x = resize_and_crop(images, size)
    return (x - jnp.asarray(mean, x.dtype)) / jnp.asarray(deviation, x.dtype)


def resize_and_crop(images: jax.Array, size: int) -> jax.Array:
    """The middle of pictures whose shorter side is made `size` pixels long.

    What bicubic weights overshoot is cut off at 0 and 1, as an 8-bit picture does, and passes no gradient.

    Args:
        images: float32[B, H, W, 3] in [0, 1].
        size: height and width of the result.

    Returns:
        float32[B, size, size, 3].
    """
    batch, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    resized_height, resized_width = resized_shape(height, width, size)
    shape = (batch, resized_height, resized_width, channels)
    resized = rules.clip(rules.resize(images, shape, "bicubic"), 0.0, 1.0)
    # Halves go to the even number, as in torchvision's CenterCrop.
    top, left = round((resized_height - size) / 2), round((resized_width - size) / 2)
    return resized[:, top : top + size, left : left + size]


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of a picture whose shorter side is made `size` long; the longer is rounded down.

    Example:
        >>> resized_shape(480, 640, 224)
        (224, 298)
    """
    if height <= width:
        return size, size * width // height
    return size * height // width, size
