"""EfficientNet-Lite against the PyTorch package that its weights were published for.

With seeded random weights, whose batch statistics come from a forward pass, the architecture and the folding
of the normalization are proven without a network; with the real weights where they can be fetched.
"""

import re

import jax
import numpy as np
import pytest

from diffprog import weights
from diffprog.graph import tap, trace
from diffprog.models import Network, card, efficientnet, load
from diffprog.models.labels import imagenet_labels
from diffprog.models.loading import to_network
from tests.models.pictures import noise, photographs, relative_error

pytestmark = pytest.mark.usefixtures("compiled_plainly")

NAMES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
# The required bound. Two correct float32 networks differ by about 1e-6; folding adds one rounding a layer.
MOST_RELATIVE_ERROR = 1e-4


def published_network(name, **options):
    """The PyTorch network, initialized at random."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    return package.EfficientNet.from_name(name, drop_connect_rate=0.0, **options)


def with_random_weights(twin):
    """Draw all that batch normalization has learned, and take its statistics from a pass over noise."""
    torch = pytest.importorskip("torch")
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
            module.momentum = None  # the plain average over the passes
    size = twin.input_image_size
    height, width = (size, size) if isinstance(size, int) else size
    with torch.no_grad():
        twin.train()(torch.from_numpy(2 * noise(height, width, count=4) - 1).permute(0, 3, 1, 2))
    return twin.eval()


def tensors_of(twin):
    return {name: tensor.numpy() for name, tensor in twin.state_dict().items()}


def torch_layers(twin, images):
    """{layer: NHWC value} of the PyTorch network, under our names."""
    torch = pytest.importorskip("torch")
    layers = {}

    def keep(name, activation=torch.nn.Identity()):  # noqa: B008 (it has no state)
        def hook(module, inputs, output):
            layers[name] = activation(output).permute(0, 2, 3, 1).numpy()

        return hook

    relu6 = torch.nn.ReLU6()
    twin._bn0.register_forward_hook(keep("stem", relu6))
    twin._bn1.register_forward_hook(keep("head", relu6))
    twin._avg_pooling.register_forward_hook(keep("pool"))
    for index, block in enumerate(twin._blocks):
        block.register_forward_hook(keep(f"blocks/{index}"))
        if hasattr(block, "_bn0"):
            block._bn0.register_forward_hook(keep(f"blocks/{index}/expand", relu6))
        block._bn1.register_forward_hook(keep(f"blocks/{index}/depthwise", relu6))
        block._bn2.register_forward_hook(keep(f"blocks/{index}/project"))
    with torch.no_grad():
        x = (255 * torch.from_numpy(images).permute(0, 3, 1, 2) - 127) / 128
        layers["logits"] = twin(x).numpy()
    layers["pool"] = layers["pool"][:, 0, 0]
    return layers


def errors_at_every_layer(net: Network, twin, images):
    expected = torch_layers(twin, images)
    logits, layers = jax.jit(tap(net, tuple(expected)))(images)
    errors = {name: relative_error(np.asarray(layers[name]), expected[name]) for name in expected}
    return errors | {"output": relative_error(np.asarray(logits), expected["logits"])}


@pytest.fixture(autouse=True)
def seeded():
    pytest.importorskip("torch").manual_seed(0)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_agrees_with_pytorch_at_random_weights(name):
    twin = with_random_weights(published_network(name))
    net = to_network(card(name), efficientnet.convert(tensors_of(twin)))
    images = np.concatenate([noise(net.input_size, count=1), photographs(net.input_size, names=("chelsea",))])

    errors = errors_at_every_layer(net, twin, images)

    assert max(errors.values()) <= MOST_RELATIVE_ERROR, errors


def test_pictures_of_another_size_agree_with_pytorch():
    twin = with_random_weights(published_network("efficientnet-lite0", image_size=(75, 98)))
    net = to_network(card("efficientnet-lite0"), efficientnet.convert(tensors_of(twin)))

    errors = errors_at_every_layer(net, twin, photographs(75, 98))

    assert max(errors.values()) <= MOST_RELATIVE_ERROR, errors


def test_a_wrong_folding_is_caught(monkeypatch):
    twin = with_random_weights(published_network("efficientnet-lite0", image_size=64))
    monkeypatch.setattr(efficientnet, "BATCH_NORM_EPSILON", 1e-5)  # PyTorch's default, but not this network's
    net = to_network(card("efficientnet-lite0"), efficientnet.convert(tensors_of(twin)))

    errors = errors_at_every_layer(net, twin, noise(64))

    assert errors["logits"] > MOST_RELATIVE_ERROR


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_the_network_is_named_and_compared(name):
    twin = with_random_weights(published_network(name, image_size=64))
    net = to_network(card(name), efficientnet.convert(tensors_of(twin)))
    images = noise(64, count=1)

    named = {layer.name for layer in trace(net, images).layers}

    # "blocks" is where the names of the blocks begin, not a layer of its own.
    assert named - {"preprocess", "output", "blocks"} == set(torch_layers(twin, images))


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_agrees_with_pytorch_at_the_real_weights(name):
    torch = pytest.importorskip("torch")
    net, twin = load(name), published_network(name)
    with weights.fetch(card(name).source) as file:
        published = weights.read(file)
    twin.load_state_dict({key: torch.from_numpy(value) for key, value in published.items()})
    images = np.concatenate([noise(net.input_size), photographs(net.input_size)])

    errors = errors_at_every_layer(net, twin.eval(), images)

    assert max(errors.values()) <= MOST_RELATIVE_ERROR, errors


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_known_answers(name):
    net = load(name)
    best = np.argmax(jax.jit(net)(photographs(net.input_size, names=("chelsea", "coffee"))), axis=-1)
    assert best.tolist() == [net.class_index("Egyptian cat"), net.class_index("espresso")]


@pytest.mark.parametrize(
    "width, expected", [(1.0, [16, 24, 40, 80, 112, 192, 320]), (1.1, [16, 24, 48, 88, 120, 208, 352])]
)
def test_channels_are_rounded_to_multiples_of_eight(width, expected):
    channels = [efficientnet.round_channels(width * stage.channels) for stage in efficientnet.STAGES]
    assert channels == expected


def test_statistics_are_those_of_the_normalization():
    """Pictures normalized by the twin in training mode have, by definition, the statistics that are remembered."""
    torch = pytest.importorskip("torch")
    twin = published_network("efficientnet-lite0").train()
    seen = {}
    for number in (0, 7):
        twin._blocks[number]._bn2.register_forward_hook(
            lambda module, inputs, out, number=number: seen.update({number: out.detach().numpy()})
        )
    twin._bn0.register_forward_hook(lambda module, inputs, out: seen.update({"stem": out.detach().numpy()}))
    with torch.no_grad():
        twin(torch.rand(4, 3, 64, 64))
    statistics = to_network(card("efficientnet-lite0"), efficientnet.convert(tensors_of(twin))).statistics
    for layer, key in {"stem/add": "stem", "blocks/0/project": 0, "blocks/7/project": 7}.items():
        mean, deviation = statistics[layer]
        np.testing.assert_allclose(seen[key].mean((0, 2, 3)), mean, atol=1e-4)
        np.testing.assert_allclose(seen[key].std((0, 2, 3)), deviation, rtol=0.1, atol=1e-3)


def test_folding_names_every_layer_once():
    converted = efficientnet.convert(tensors_of(published_network("efficientnet-lite0")))
    statistics = {name for name in converted if name.startswith("statistics/")}
    layers = set(converted) - statistics
    assert len(layers) == 2 * (1 + 16 + 15 + 16 + 1 + 1)  # stem, depthwise, expand, project, head, logits
    assert all(re.fullmatch(r"(stem|head|logits|blocks/\d+/\w+)/(kernel|bias)", name) for name in layers)
    assert len(statistics) == 2 * (1 + 16)  # stem, project
    assert all(array.dtype == np.float32 for array in converted.values())
    assert len(imagenet_labels()) == converted["logits/bias"].size
