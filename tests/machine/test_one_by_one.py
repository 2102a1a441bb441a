"""A batch one example at a time: the values of vmap, on one device and on several."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.errors import InvalidInput
from diffprog.machine import one_by_one


def gradient(x, w):
    return jax.grad(lambda x: jnp.sum(jnp.tanh(x @ w)))(x)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_it_is_vmap(count):
    x = jax.random.normal(jax.random.key(0), (count, 2, 3))
    w = jax.random.normal(jax.random.key(1), (3, 3))
    got = jax.jit(one_by_one(gradient, in_axes=(0, None)))(x, w)
    np.testing.assert_allclose(
        got, jax.vmap(gradient, (0, None))(x, w), rtol=1e-5, atol=1e-6
    )  # batched products round otherwise


def test_the_shared_argument_may_come_first_and_pytrees_pass():
    x, w = jnp.arange(6.0).reshape(3, 2), {"a": jnp.ones(2)}
    got = one_by_one(lambda w, x: {"y": x * w["a"]}, in_axes=(None, 0))(w, x)
    np.testing.assert_array_equal(got["y"], x)


@pytest.mark.parametrize(
    ("axes", "args"),
    [
        ((None, None), (jnp.ones(2), jnp.ones(2))),
        ((0, 1), (jnp.ones(2), jnp.ones((2, 2)))),
        ((0,), (jnp.ones(2), jnp.ones(2))),
        ((0, 0), (jnp.ones(2), jnp.ones(3))),
        ((0, 0), (jnp.ones(2), 1.0)),
    ],
)
def test_what_is_no_batch_is_refused(axes, args):
    with pytest.raises(InvalidInput):
        one_by_one(lambda *a: a[0], in_axes=axes)(*args)


TWO_DEVICES = """
import jax, jax.numpy as jnp
from diffprog.machine import one_by_one, tune
settings = tune(devices=2)
assert settings[2].done, settings
assert len(jax.devices()) == 2
f = lambda x, w: jax.grad(lambda x: jnp.sum(jnp.tanh(x @ w)))(x)
x, w = jax.random.normal(jax.random.key(0), (6, 2, 3)), jax.random.normal(jax.random.key(1), (3, 3))
got = jax.jit(one_by_one(f, (0, None)))(x, w)
assert len(got.sharding.device_set) == 2, got.sharding
assert float(abs(got - jax.vmap(f, (0, None))(x, w)).max()) < 1e-6
odd = one_by_one(f, (0, None))(x[:3], w)
assert float(abs(odd - jax.vmap(f, (0, None))(x[:3], w)).max()) < 1e-6
placed = one_by_one(f, (0, None))(jax.device_put(x, jax.devices()[0]), w)
assert float(abs(placed - jax.vmap(f, (0, None))(x, w)).max()) < 1e-6
late = tune(devices=3)[2]
assert "too late" in late.note, late
print("fine")
"""


def test_two_devices_share_a_batch():
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr


def test_importing_the_package_starts_no_backend():
    """Else the number of host devices, and a cluster of processes, could not be chosen after it."""
    script = "import diffprog; from jax._src import xla_bridge; print(xla_bridge.backends_are_initialized())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
