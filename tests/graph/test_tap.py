import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.graph import tap, trace
from tests.graph.programs import NNX, PROGRAMS, X, chain


def test_tap_adds_activations_to_the_function_s_result():
    out, taps = tap(chain, ["sin", "output"])(X)
    np.testing.assert_array_equal(out, chain(X))
    np.testing.assert_array_equal(taps["sin"], jnp.sin(X))
    np.testing.assert_array_equal(taps["output"], out)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_tap_is_run_of_the_trace_and_can_be_compiled(program):
    got = jax.jit(tap(program.function, program.name))(*program.args)
    graph = trace(program.function, *program.args)
    expected = jax.jit(lambda *args: graph.run(*args, taps=program.name))(*program.args)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_a_tapped_activation_can_be_climbed():
    """Gradient ascent on one unit of a module, as feature visualization does it."""
    stem = tap(NNX, "stem")

    def score(x):
        return stem(x)[1]["stem"][:, 2].sum()

    gradient = jax.grad(score)(X)
    np.testing.assert_allclose(gradient, np.tile(NNX.stem.kernel[...][:, 2], (3, 1)), rtol=1e-6)  # float32


def test_an_unknown_name_is_refused_when_called():
    with pytest.raises(InvalidInput, match="no activation is called 'cosine'"):
        tap(chain, "cosine")(X)
