"""What users of JAX reported as slow, before and after.  python -m tests.benchmarks.reported

Three open reports, restated: the depthwise layer of jax #23713 (Flax nnx, 124 px, 256 channels), the stack of
depthwise convolutions over time and its training gradient of jax #13800, and the gradient of the 3-D transposed
convolution of jax #31662. "Before" is JAX's own operation; "after" gives the rule to the same layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from diffprog import rules
from tests.benchmarks.timing import milliseconds

Call = Callable[[], Any]


def depthwise_layer() -> None:
    """jax #23713: one forward pass of a 3x3 depthwise layer."""
    x = jax.random.uniform(jax.random.key(0), (1, 124, 124, 256))
    calls: dict[str, Call] = {}
    for name, operation in (("before", lax.conv_general_dilated), ("after", rules.conv_general_dilated)):
        layer = nnx.Conv(
            256,
            256,
            (3, 3),
            padding=1,
            feature_group_count=256,
            rngs=nnx.Rngs(0),
            conv_general_dilated=operation,
        )
        forward = nnx.jit(layer)
        calls[name] = lambda forward=forward: forward(x)
    try:
        import torch
    except ImportError:
        pass
    else:
        twin = torch.nn.Conv2d(256, 256, 3, 1, 1, groups=256)
        pictures = torch.rand(1, 256, 124, 124)
        calls["torch"] = lambda: twin(pictures)
    report("jax #23713, depthwise layer, forward", calls)


def stack_over_time() -> None:
    """jax #13800: twelve depthwise convolutions of 5 taps over 1024 steps, 512 channels; batch 4 instead of 32."""
    x = jax.random.normal(jax.random.key(0), (4, 1024, 512))
    kernels = [jax.random.normal(jax.random.key(i), (5, 1, 512)) / 3 for i in range(12)]

    def training_gradient(operation: Callable[..., Any]) -> Call:
        def cost(kernels: Any, x: Any) -> Any:
            for W in kernels:
                x = operation(
                    x, W, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=512
                )
            return jnp.mean(jnp.abs(x))

        gradient = jax.jit(jax.grad(cost))
        return lambda: gradient(kernels, x)

    calls = {
        "before": training_gradient(lax.conv_general_dilated),
        "after": training_gradient(rules.conv_general_dilated),
    }
    report("jax #13800, twelve depthwise layers over time, training gradient", calls)


def transposed_in_three_dimensions() -> None:
    """jax #31662: 64 -> 1 channels, 3x3x3, stride 2, on 64x64x32; the gradient by the kernel, float32."""
    x = jax.random.normal(jax.random.key(0), (1, 64, 64, 32, 64))
    W = jax.random.normal(jax.random.key(1), (3, 3, 3, 64, 1))

    def kernel_gradient(operation: Callable[..., Any]) -> Call:
        def cost(W: Any, x: Any) -> Any:
            y = operation(x, W, (2, 2, 2), [(1, 2)] * 3, dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))
            return jnp.mean(y**2)

        gradient = jax.jit(jax.grad(cost))
        return lambda: gradient(W, x)

    calls = {"before": kernel_gradient(lax.conv_transpose), "after": kernel_gradient(rules.conv_transpose)}
    report("jax #31662, 3-D transposed convolution, gradient by the kernel", calls)


def report(title: str, calls: dict[str, Call]) -> None:
    """Print times and how much faster it became."""
    times = milliseconds(calls)
    cells = ", ".join(f"{name} {ms:.2f} ms" for name, ms in times.items())
    print(f"{title}: {cells}; {times['before'] / times['after']:.1f} times faster", flush=True)


if __name__ == "__main__":
    depthwise_layer()
    stack_over_time()
    transposed_in_three_dimensions()
