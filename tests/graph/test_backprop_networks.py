"""The watched sweep through real networks, in float64, is jax.grad's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import models
from diffprog.graph import backprop
from tests.graph.test_backprop import MOST_RELATIVE, differences, wide

IMAGES = jax.random.uniform(jax.random.key(0), (1, 32, 32, 3))


def squeezenet():
    """With the weights that come with the package."""
    return models.card("squeezenet").module, {"params": models.load("squeezenet").params}


def efficientnet():
    """With drawn weights, which need no download."""
    module, draw = models.card("efficientnet-lite0").module, np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), IMAGES)

    def leaf(shape):  # of the size that keeps activations about as large from layer to layer
        return draw.normal(size=shape) * (2 / np.prod(shape[:-1])) ** 0.5

    return module, jax.tree.map(lambda leaf_shape: leaf(leaf_shape.shape), shapes)


@pytest.mark.parametrize(
    ("network", "nodes", "layer", "rules"),
    [
        (
            squeezenet,
            122,
            "fire5",
            {
                "expand3x3/convolution": "convolution, dense",
                "expand1x1/convolution": "convolution, 1 x 1",
                "squeeze/relu": "relu",
                "concatenate": "concatenate",
            },
        ),
        (
            efficientnet,
            199,
            "blocks/2",
            {
                "depthwise/convolution": "convolution, depthwise",
                "expand/convolution": "convolution, 1 x 1",
                "expand/relu6": "relu6",
                "add": "merge",
            },
        ),
    ],
)
@pytest.mark.usefixtures("x64")
def test_a_real_network(network, nodes, layer, rules):
    with jax.enable_x64(False):  # the networks are float32
        module, variables = network()

    def cost(variables, images):
        return jax.nn.log_softmax(module.apply(variables, images))[0, 47]

    args = wide((variables, IMAGES))
    steps = backprop(cost, *args)
    expected = jax.jit(jax.grad(cost, (0, 1)))(*args)
    assert max(differences(steps.gradients, expected)) <= MOST_RELATIVE
    assert float(jnp.abs(expected[1]).max()) > 0
    assert len(steps.steps) > nodes
    assert {name: steps[f"{layer}/{name}"].rule for name in rules} == rules
    kernels = [flow.name for flow in steps[f"{layer}/{next(iter(rules))}"].parameters]
    assert kernels == [f"variables['params']['{layer}']['{next(iter(rules)).split('/')[0]}']['kernel']"]
    inside = [step for step in steps.steps if step.name.startswith(f"{layer}/")]
    assert {step.scope[0] for step in inside} == {layer}
    assert {step.source.file.rsplit("/", 1)[1] for step in inside} <= {"layers.py", f"{network.__name__}.py"}
