"""The VQGAN's decoder against its twin in PyTorch, at seeded weights, and the published sizes."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput
from diffprog.models import gans
from diffprog.models.gans.vqgan.layout import KNOWN, Architecture, expected, ignored, recognize
from diffprog.models.gans.vqgan.modules import Decoder, quantized

torch = pytest.importorskip("torch")
from tests.models.gans.parity import compared  # noqa: E402
from tests.models.gans.vqgan_twin import SMALL, VQGANTwin, twin  # noqa: E402

# Two correct float32 networks differ by some 1e-6 here; a wrong tap, group or scale by more than 1e-2.
MOST_RELATIVE_ERROR = 1e-5
TWIN = twin()
TENSORS = {name: tensor.detach().numpy() for name, tensor in TWIN.state_dict().items()}
DRAW = np.random.default_rng(0)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """As Lightning saves it: with the loss, the optimizer's memory, and what its callbacks remember."""
    path = tmp_path_factory.mktemp("vqgan") / "last.ckpt"
    callbacks = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callbacks.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": callbacks.__name__})
    checkpoint = {
        "state_dict": {**TWIN.state_dict(), "loss.logvar": torch.zeros(())},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
        "callbacks": {callbacks.ModelCheckpoint: {"best_model_score": torch.zeros(())}},
        "epoch": 3,
    }
    with pytest.MonkeyPatch.context() as patch:
        for end in (1, 2, 3):
            name = ".".join(callbacks.__name__.split(".")[:end])
            patch.setitem(sys.modules, name, callbacks if end == 3 else types.ModuleType(name))
        torch.save(checkpoint, path)
    return gans.load(path)


def test_pictures_and_gradient_agree_with_pytorch(net):
    z = DRAW.standard_normal((2, 3, 4, SMALL.embedding)).astype(np.float32)
    weight = DRAW.standard_normal((6, 8, 3)).astype(np.float32)
    errors, pictures, _ = compared(net, TWIN, (z,), weight)
    beyond = np.isin(pictures, (0, 1)).mean()
    assert max(errors) <= MOST_RELATIVE_ERROR and 0.01 < beyond < 0.5


def test_quantized_is_the_nearest_vector_to_the_bit_and_the_gradient_passes_through():
    codebook, z, g = (DRAW.standard_normal(s).astype(np.float32) for s in ((9, 4), (2, 5, 4), (2, 5, 4)))
    z *= 3

    @jax.jit
    def forward_and_backward(z, codebook, g):
        out, pull = jax.vjp(quantized, z, codebook)
        return out, *pull(g)

    out, by_z, by_codebook = map(np.asarray, forward_and_backward(z, codebook, g))
    distances = ((z[..., None, :] - codebook) ** 2).sum(-1)
    np.testing.assert_array_equal(out, codebook[distances.argmin(-1)])
    np.testing.assert_array_equal(by_z, g)
    assert not by_codebook.any()


def test_draws_are_vectors_of_the_codebook_and_stay_themselves(net):
    z = np.asarray(net.draw(jax.random.key(0), (8, 6)))[None]
    assert z.shape == (1, 4, 3, SMALL.embedding)
    np.testing.assert_array_equal(jax.jit(net.quantized)(z), z)
    np.testing.assert_array_equal(np.asarray(net.codebook)[jax.jit(net.codes)(z)], z)
    least, greatest = map(np.asarray, net.bounds)
    assert (z >= least).all() and (z <= greatest).all()


@pytest.mark.parametrize("name", KNOWN)
def test_published_networks_are_recognized_and_make_pictures(name):
    sizes = KNOWN[name]
    assert recognize(expected(sizes)) is sizes
    z = jax.ShapeDtypeStruct((1, 2, 3, sizes.embedding), np.float32)
    pictures, _ = jax.eval_shape(Decoder(sizes).init_with_output, jax.random.key(0), z)
    assert pictures.shape == (1, 2 * sizes.factor, 3 * sizes.factor, 3)
    assert sizes.factor == (8 if "f8" in name else 16)


def test_the_layout_of_more_levels_and_blocks_is_that_of_the_twin():
    sizes = Architecture("", 9, 4, 5, (32, 64, 64), blocks=3, attention=(0, 2))
    shapes = {name: tuple(tensor.shape) for name, tensor in VQGANTwin(sizes).state_dict().items()}
    assert expected(sizes) == {name: shape for name, shape in shapes.items() if not ignored(name)}


def test_sizes_come_from_shapes(net):
    assert net.architecture == SMALL and net.name == "vqgan"


def test_channels_that_cannot_be_grouped_are_refused(tmp_path):
    odd = Architecture("odd", 4, 2, 3, (16, 32), blocks=1)
    weights.save(tmp_path / "a", {n: np.zeros(s, np.float32) for n, s in expected(odd).items()})
    with pytest.raises(BadFile, match="multiples of 32"):
        gans.load(tmp_path / "a")


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda net: net(jnp.zeros((2, 3, 4, 5))), "a grid of shape"),
        (lambda net: net(jnp.zeros((3, 4, 6))), "a grid of shape"),
        (lambda net: net(jnp.zeros((1, 3, 4, 6), jnp.float16)), "dtype float16"),
        (lambda net: net.draw(jax.random.key(0), (8, 7)), r"size=\(8, 8\)"),
    ],
)
def test_bad_input_is_refused(net, call, said):
    with pytest.raises(InvalidInput, match=said):
        call(net)
