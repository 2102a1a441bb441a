"""Every kind of rule inside `jax.shard_map`, which checks over which devices each value varies."""

import subprocess
import sys

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from diffprog import rules

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
mesh = Mesh(jax.devices(), ("half",))
normal = lambda *shape: jnp.asarray(np.random.default_rng(len(shape)).standard_normal(shape))
depthwise = lambda x, W: rules.conv_general_dilated(
    x, W, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=4
)
CASES = (
    (rules.relu, normal(4, 3)),
    (rules.linear, normal(4, 3), normal(3, 2), normal(2)),
    (depthwise, normal(2, 6, 6, 4), normal(3, 3, 1, 4)),
    (lambda x: rules.max_pool(x, (3, 3), (2, 2)), normal(2, 7, 7, 2)),
    (rules.layer_norm, normal(4, 3), normal(3), normal(3)),
    (rules.dot_product_attention, *(normal(2, 3, 2, 2),) * 3),
    (rules.merge, normal(4, 3), normal(4, 3)),
    (lambda x: 3 * rules.reverse_gradient(rules.clip_gradient(x, value=100.0)), normal(4, 3)),
)

for rule, *args in CASES:
    cost = lambda *args: (rule(*args) ** 2).sum()
    every = tuple(range(len(args)))
    first = len(args[0])
    specs = tuple(P("half") if len(arg) == first and arg.ndim == args[0].ndim else P() for arg in args)

    def gradient(*args):
        return jax.grad(lambda *args: jax.lax.psum(cost(*args), "half"), every)(*args)

    def change(*args):
        return jax.lax.psum(jax.jvp(cost, args, args)[1], "half")

    found = jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=specs, out_specs=specs))(*args)
    for got, want in zip(found, jax.grad(cost, every)(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-11)  # sums in another order
    moved = jax.jit(jax.shard_map(change, mesh=mesh, in_specs=specs, out_specs=P()))(*args)
    np.testing.assert_allclose(moved, jax.jvp(cost, tuple(args), tuple(args))[1], rtol=1e-12)
    second = jax.shard_map(lambda *a: jax.jvp(gradient, a, a)[1], mesh=mesh, in_specs=specs, out_specs=specs)
    for got, want in zip(jax.jit(second)(*args), jax.jvp(jax.grad(cost, every), tuple(args), tuple(args))[1]):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-10)
"""


def test_gradients_and_changes_are_those_without_it():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
