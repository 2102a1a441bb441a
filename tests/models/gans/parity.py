"""A generator beside its twin in PyTorch: pictures, and the gradients of a weighted sum of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.pictures import relative_error

torch = pytest.importorskip("torch")


def compared(
    ours: Callable[..., Any], theirs: Callable[..., Any], inputs: Sequence[np.ndarray], weight: np.ndarray
) -> tuple[list[float], np.ndarray, list[np.ndarray]]:
    """The relative errors of the pictures and of the gradient by each input; our pictures and our gradients."""
    given = [torch.from_numpy(one).requires_grad_() for one in inputs]
    expected = theirs(*given)
    (expected * torch.from_numpy(weight)).sum().backward()

    def scored(*inputs: Any) -> tuple[jax.Array, jax.Array]:
        made = ours(*inputs)
        return jnp.sum(made * weight), made

    gradients, pictures = jax.grad(scored, tuple(range(len(inputs))), has_aux=True)(*inputs)
    found = [np.asarray(one) for one in (pictures, *gradients)]
    wanted = [expected.detach().numpy(), *(one.grad.numpy() for one in given)]
    errors = [relative_error(a, b) for a, b in zip(found, wanted, strict=True)]
    print("relative errors of pictures and gradients: " + ", ".join(f"{error:.1e}" for error in errors))
    return errors, found[0], found[1:]
