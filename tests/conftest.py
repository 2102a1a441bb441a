"""Shared by every test: strict promotion, and 64-bit on request."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test in float64, where a wrong rule cannot hide behind rounding."""
    with jax.enable_x64(True):
        yield
