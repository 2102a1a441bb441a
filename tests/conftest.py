"""Shared by every test: 64-bit on request, one compilation cache, and `--skipped` for what is installed later."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import jax
import pytest
from hypothesis import settings

# In CI the drawn examples are the same every time; elsewhere every run looks at new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")


SKIPPED = "diffprog/skipped"
CACHE = "JAX_COMPILATION_CACHE_DIR"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skipped", action="store_true", help="run only what the last run skipped")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--skipped"):
        wanted = tuple(config.cache.get(SKIPPED, []))  # tests, or whole files
        items[:] = [item for item in items if item.nodeid.startswith(wanted)]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--skipped"):
        skipped = {report.nodeid for report in terminalreporter.stats.get("skipped", [])}
        config.cache.set(SKIPPED, sorted(skipped))


def pytest_configure(config: pytest.Config) -> None:
    """What several tests compile, however small, is compiled by the first of them, in whichever process."""
    if CACHE not in os.environ:
        os.environ[CACHE] = tempfile.mkdtemp(
            prefix="diffprog-compiled-"
        )  # the other processes are told by it
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(CACHE), ignore_errors=True))
    jax.config.update("jax_compilation_cache_dir", os.environ[CACHE])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # Lines of Python in compiled programs, which nobody reads here, take a twentieth of the time.
    jax.config.update("jax_traceback_in_locations_limit", 0)


@pytest.fixture
def x64() -> Iterator[None]:
    """Run the test in float64, where a wrong rule cannot hide behind rounding."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def compiled_plainly() -> Iterator[None]:
    """A module's programs are compiled without most optimizations, which take most of the time of small tests.

    For formulas, files and loops, which are the same either way; not for what the optimizations might change: whole
    drawings as users have them, bits across processes, memory, operations counted.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
