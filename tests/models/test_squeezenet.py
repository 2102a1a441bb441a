"""SqueezeNet against the same network written with PyTorch's functions, and what it says of photographs."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog.graph import tap, trace
from diffprog.models import fetch, load
from tests.models.pictures import noise, photographs, relative_error

pytestmark = pytest.mark.usefixtures("compiled_plainly")

# The required bound. Two correct float32 networks differ by about 1e-6: a layer sums at most 4,608 products.
MOST_RELATIVE_ERROR = 1e-4


def torch_twin(weights: Mapping[str, np.ndarray], images):
    """SqueezeNet 1.1 in PyTorch: `images` [B, H, W, 3] RGB in [0, 1] -> logits, {layer: NHWC value}."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    layers = {}

    def keep(name, value):
        layers[name] = value.permute(0, 2, 3, 1) if value.ndim == 4 else value
        return value

    def convolution(x, name, **options):
        kernel = torch.from_numpy(weights[f"{name}/kernel"].transpose(3, 2, 0, 1).copy())
        bias = torch.from_numpy(weights[f"{name}/bias"])
        return keep(name, functional.relu(functional.conv2d(x, kernel, bias, **options)))

    def pool(x, name):
        return keep(name, functional.max_pool2d(x, kernel_size=3, stride=2))

    mean = torch.tensor([103.939, 116.779, 123.68])
    x = (255 * images.flip(-1) - mean).permute(0, 3, 1, 2)
    x = pool(convolution(x, "conv1", stride=2), "pool1")
    for number in range(2, 10):
        squeezed = convolution(x, f"fire{number}/squeeze")
        point = convolution(squeezed, f"fire{number}/expand1x1")
        patch = convolution(squeezed, f"fire{number}/expand3x3", padding=1)
        x = keep(f"fire{number}", torch.cat([point, patch], dim=1))
        if number in (3, 5):
            x = pool(x, f"pool{number}")
    logits = keep("logits", convolution(x, "conv10").mean(dim=(2, 3)))
    return logits, layers


@pytest.mark.parametrize("height, width", [(224, 224), (227, 227), (90, 131)])
def test_every_layer_agrees_with_pytorch(height, width):
    torch = pytest.importorskip("torch")
    images = np.concatenate([noise(height, width), photographs(height, width)])
    _, expected = torch_twin(fetch("squeezenet"), torch.from_numpy(images))

    logits, layers = jax.jit(tap(load("squeezenet"), tuple(expected)))(images)

    errors = {name: relative_error(np.asarray(layers[name]), expected[name].numpy()) for name in expected}
    errors["output"] = relative_error(np.asarray(logits), expected["logits"].numpy())
    assert max(errors.values()) <= MOST_RELATIVE_ERROR, errors


def test_gradient_by_the_picture_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    images = photographs(64)
    picture = torch.from_numpy(images).requires_grad_()
    torch_twin(fetch("squeezenet"), picture)[0][:, 285].sum().backward()

    gradient = jax.jit(jax.grad(lambda x: load("squeezenet")(x)[:, 285].sum()))(images)

    # Ten times the bound on values: where a pre-activation is within rounding of zero, or two pooled values
    # are, the two choose different paths for a few pixels.
    assert relative_error(np.asarray(gradient), picture.grad.numpy()) <= 10 * MOST_RELATIVE_ERROR


def test_every_layer_of_the_network_is_named_and_compared():
    torch = pytest.importorskip("torch")
    images = noise(64, count=1)
    compared = torch_twin(fetch("squeezenet"), torch.from_numpy(images))[1]

    named = {layer.name for layer in trace(load("squeezenet"), images).layers}

    assert named - {"preprocess", "output"} == set(compared)


@pytest.mark.parametrize(
    "photograph, best, least_probability",
    # Recorded with an independent implementation: .42 (with conv1 padded 'SAME', which costs some) and .999.
    [("chelsea", 285, 0.42), ("coffee", 967, 0.99)],
)
def test_known_answers(photograph, best, least_probability):
    net = load("squeezenet")
    probabilities = jax.nn.softmax(net(photographs(net.input_size, names=(photograph,))))[0]
    assert int(jnp.argmax(probabilities)) == best
    assert float(probabilities[best]) >= least_probability


def test_the_cat_is_one_of_three_cats():
    net = load("squeezenet")
    logits = net(photographs(net.input_size, names=("chelsea",)))[0]
    assert set(np.argsort(-logits)[:3].tolist()) == {285, 282, 281}  # Egyptian cat, tiger cat, tabby
