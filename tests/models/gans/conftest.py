"""Compile fast and run slow: these networks are small, and what is compared does not depend on how fast they are."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def compile_fast(compiled_plainly: None) -> None:
    """Without most of the compiler's optimizations, which halves what these tests cost."""
