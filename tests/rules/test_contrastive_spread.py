"""Contrastive losses spread over devices: the single device's numbers, with a device's share of the memory."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from diffprog import rules
from diffprog.errors import InvalidInput

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from functools import partial
from jax.sharding import Mesh, PartitionSpec as P
from diffprog import rules

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
draw = np.random.default_rng(0)
rows, whole = P("devices"), P()


def spread(loss, count, scalars):
    mesh = Mesh(jax.devices()[:count], ("devices",))
    part = partial(loss, axis_name="devices")
    return jax.shard_map(part, mesh=mesh, in_specs=(rows, rows) + (whole,) * scalars, out_specs=whole)


# Values, gradients, changes and second derivatives, of 8 rows over 4 devices.
for loss, scalars in ((rules.info_nce, (3.0,)), (rules.sigmoid_contrastive, (3.0, -1.2))):
    args = (draw.standard_normal((8, 3)), draw.standard_normal((8, 3)), *map(np.float64, scalars))
    args = tuple(map(jnp.asarray, args))
    dots = tuple(jnp.asarray(draw.standard_normal(x.shape)) for x in args)
    every = tuple(range(len(args)))

    def everything(f):
        # value, change, gradient, and change of the gradient
        return jax.jit(lambda x, d: (jax.jvp(f, x, d), jax.jvp(jax.grad(f, every), x, d)))

    one, four = everything(loss), everything(spread(loss, 4, len(scalars)))
    found, right = four(args, dots), one(args, dots)
    for got, want in zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13)  # sums of 8 numbers near 1, in another order
    (value, _), (gradient, _) = found
    assert value.sharding.is_fully_replicated
    assert gradient[0].sharding.spec == gradient[1].sharding.spec == rows
    # Scores beyond the largest exponential: maxima go around, so nothing overflows.
    large = (1000 * args[0], *args[1:])
    np.testing.assert_allclose(four(large, dots)[0][0], one(large, dots)[0][0], rtol=1e-12)

# Memory, from the compiled programs: 1024 x 1024 float32 scores are 4 MiB.
jax.config.update("jax_enable_x64", False)
jax.config.update("jax_disable_most_optimizations", False)
for loss in (rules.info_nce, rules.sigmoid_contrastive):
    x = jax.ShapeDtypeStruct((1024, 16), jnp.float32)

    def temporaries(f):
        compiled = jax.jit(jax.value_and_grad(f, (0, 1))).lower(x, x).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    scalars = (5.0,) if loss is rules.info_nce else (5.0, -1.0)
    one = temporaries(lambda a, b: loss(a, b, *scalars))
    eight = temporaries(lambda a, b: spread(loss, 8, 0)(a, b))
    assert one > 4 * 2**20, one  # the whole matrix
    # An eighth of the rows, and what grows with B only: gathered vectors, sums of columns (64 KiB each here).
    assert eight < one / 8 + 2**19, (one, eight)
    print(f"{loss.__name__}: {one / 2**20:.1f} MiB on one device, {eight / 2**20:.2f} MiB on each of eight")
"""


def test_values_gradients_and_memory_over_devices() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)


@pytest.mark.parametrize("loss", [rules.info_nce, rules.sigmoid_contrastive])
def test_rows_that_are_not_spread_are_refused(loss) -> None:
    x = jnp.ones((2, 3))
    with pytest.raises(InvalidInput, match="not spread"):
        loss(x, x, axis_name="devices")
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("devices",))
    for options in ({"in_specs": jax.P()}, {"in_specs": jax.P("devices"), "check_vma": False}):
        over = jax.shard_map(
            lambda x: loss(x, x, axis_name="devices"), mesh=mesh, out_specs=jax.P(), **options
        )
        with pytest.raises(InvalidInput, match="check_vma=True"):
            over(x)
