"""The DCGAN against PyTorch's own layers, at seeded random weights and at the real ones."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput
from diffprog.models import dcgan, load
from diffprog.models.fitting import fitted
from diffprog.models.generator import FACES, to_generator
from tests.models.pictures import relative_error

pytestmark = pytest.mark.usefixtures("compiled_plainly")

# Two correct float32 networks differ by some 1e-7 here; a wrong tap, padding or epsilon by more than 1e-2.
MOST_RELATIVE_ERROR = 1e-5


def published_network(width):
    """The layers of PyTorch's DCGAN example."""
    torch = pytest.importorskip("torch")
    layers, channels = [], [dcgan.LATENT, 8 * width, 4 * width, 2 * width, width, 3]
    for number, (before, after) in enumerate(itertools.pairwise(channels)):
        stride, padding = (1, 0) if number == 0 else (2, 1)
        layers.append(torch.nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False))
        if number < 4:
            layers += [torch.nn.BatchNorm2d(after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Tanh())


def with_random_weights(twin):
    """Draw all that batch normalization has learned, and take its statistics from a pass over noise."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
            module.momentum = None  # the plain average over the passes
    with torch.no_grad():
        twin.train()(torch.randn(8, dcgan.LATENT, 1, 1))
    return twin.eval()


def tensors_of(twin):
    return {f"netG_state_dict/main.{name}": tensor.numpy() for name, tensor in twin.state_dict().items()}


def pictures(twin, z):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return (twin(torch.from_numpy(z)[:, :, None, None]).permute(0, 2, 3, 1).numpy() + 1) / 2


def small(tensors, width=4):
    module = dcgan.DCGAN(width=width)
    example = jax.ShapeDtypeStruct((1, dcgan.LATENT), jnp.float32)
    return to_generator("small", "Small", module, fitted(module, example, dcgan.convert(tensors), "Small"))


def latents(count):
    return np.random.default_rng(0).standard_normal((count, dcgan.LATENT)).astype(np.float32)


def test_pictures_agree_with_pytorch_at_random_weights():
    twin = with_random_weights(published_network(4))
    got = np.asarray(small(tensors_of(twin))(latents(3)))
    assert got.shape == (3, 64, 64, 3)
    assert relative_error(got, pictures(twin, latents(3))) <= MOST_RELATIVE_ERROR


def test_the_gradient_to_the_latent_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    twin = with_random_weights(published_network(4))
    generator, weight = (
        small(tensors_of(twin)),
        np.random.default_rng(1).random((64, 64, 3)).astype(np.float32),
    )
    z = torch.from_numpy(latents(2)).requires_grad_()
    pixels = (twin(z[:, :, None, None]) + 1) / 2
    (pixels * torch.from_numpy(weight.transpose(2, 0, 1))).sum().backward()
    got = jax.grad(lambda z: jnp.sum(generator(z) * weight))(latents(2))
    assert relative_error(np.asarray(got), z.grad.numpy()) <= MOST_RELATIVE_ERROR


@pytest.mark.parametrize("epsilon", [1e-3])
def test_a_wrong_folding_is_caught(monkeypatch, epsilon):
    twin = with_random_weights(published_network(4))
    monkeypatch.setattr(dcgan, "BATCH_NORM_EPSILON", 100 * epsilon)
    assert relative_error(np.asarray(small(tensors_of(twin))(latents(2))), pictures(twin, latents(2))) > 1e-3


def test_a_missing_tensor_is_named():
    tensors = tensors_of(published_network(4))
    del tensors["netG_state_dict/main.4.bias"]
    with pytest.raises(BadFile, match=r"main\.4\.bias"):
        dcgan.convert(tensors)


def test_weights_of_another_width_are_refused():
    with pytest.raises(BadFile, match="do not fit Small"):
        small(tensors_of(published_network(4)), width=8)


@pytest.mark.parametrize(
    "z", [np.zeros(100, np.float32), np.zeros((2, 99), np.float32), np.zeros((1, 100), np.int32)]
)
def test_latents_of_another_shape_or_dtype_are_refused(z):
    with pytest.raises(InvalidInput, match=r"float32\[B, 100\]"):
        small(tensors_of(published_network(4)))(z)


@pytest.mark.network
def test_the_faces_agree_with_pytorch_at_the_real_weights():
    torch = pytest.importorskip("torch")
    twin = published_network(64)
    with weights.fetch(FACES) as file:
        tensors = weights.read(file)
    prefix = "netG_state_dict/main."
    state = {name.removeprefix(prefix): torch.from_numpy(np.array(t)) for name, t in tensors.items()}
    twin.load_state_dict(state)
    error = relative_error(np.asarray(load("dcgan-faces")(latents(8))), pictures(twin.eval(), latents(8)))
    print(f"DCGAN faces, real weights: relative error {error:.1e}")
    assert error <= MOST_RELATIVE_ERROR
