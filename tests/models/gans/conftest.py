"""Compile fast and run slow: these networks are small, and what is compared does not depend on how fast they are."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def compile_fast() -> Iterator[None]:
    """Without most of the compiler's optimizations, which halves what these tests cost."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
