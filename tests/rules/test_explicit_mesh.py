"""Rules on a mesh with explicit axes, where every array's type says how it is spread over the devices."""

import subprocess
import sys

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from diffprog import rules

jax.config.update("jax_num_cpu_devices", 2)
mesh = jax.make_mesh((2,), ("half",), axis_types=(AxisType.Explicit,))
normal = lambda *shape: np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
convolution = lambda groups: lambda x, W: rules.conv_general_dilated(
    x, W, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups
)
CASES = (
    (rules.relu, normal(4, 3)),
    (rules.linear, normal(4, 3), normal(3, 2), normal(2)),
    (convolution(1), normal(2, 6, 6, 4), normal(3, 3, 4, 5)),
    (convolution(1), normal(2, 6, 6, 4), normal(1, 1, 4, 5)),
    (convolution(4), normal(2, 6, 6, 4), normal(3, 3, 1, 4)),
    (lambda x: rules.max_pool(x, (3, 3), (2, 2)), normal(2, 7, 7, 2)),
    (lambda x: rules.max_pool(x, (2, 2), (2, 2)), normal(2, 6, 6, 2)),
    (lambda x: rules.avg_pool(x, (3, 3), (2, 2)), normal(2, 7, 7, 2)),
    (rules.layer_norm, normal(4, 3), normal(3), normal(3)),
    (rules.softmax, normal(4, 3)),
)

for rule, *args in CASES:
    every = tuple(range(len(args)))
    gradient = lambda *args: jax.grad(lambda *args: (rule(*args) ** 2).sum(), every)(*args)
    expected = jax.jit(gradient)(*map(jnp.asarray, args))
    with jax.set_mesh(mesh):
        spread = [jax.device_put(a, NamedSharding(mesh, P("half") if n == 0 else P())) for n, a in enumerate(args)]
        found = jax.jit(gradient)(*spread)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-4)  # float32, sums in another order
"""


def test_gradients_are_those_on_one_device():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
