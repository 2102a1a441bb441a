"""BigGAN-deep against its twin in PyTorch, at seeded weights, and the published sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import InvalidInput
from diffprog.models import gans
from diffprog.models.gans.biggan.layout import KNOWN, at_truncation, expected, recognize
from diffprog.models.gans.biggan.modules import BigGANDeep
from tests.models.pictures import relative_error

torch = pytest.importorskip("torch")
from tests.models.gans.biggan_twin import SMALL, twin  # noqa: E402
from tests.models.gans.parity import compared  # noqa: E402

# Two correct float32 networks differ by some 1e-7 here; a wrong tap, statistic or gain by more than 1e-2.
MOST_RELATIVE_ERROR = 1e-5
TWIN = twin()
TENSORS = {name: tensor.detach().numpy() for name, tensor in TWIN.state_dict().items()}
DRAW = np.random.default_rng(0)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("biggan") / "model.safetensors"
    weights.save(path, TENSORS)
    return gans.load(path)


def inputs(*axes):
    z = DRAW.standard_normal((2, *axes, SMALL.latent)).astype(np.float32)
    return z, DRAW.random((2, *axes, SMALL.classes)).astype(np.float32)


def test_pictures_and_gradients_agree_with_pytorch(net):
    """With latents and classes of their own for every part, of which one for all is a special case."""
    z, classes = inputs(SMALL.parts)
    weight = DRAW.random((8, 8, 3)).astype(np.float32)
    errors, _, _ = compared(net.at(0.4), lambda z, c: TWIN(z, c, 0.4), (z, classes), weight)
    assert max(errors) <= MOST_RELATIVE_ERROR


@pytest.mark.parametrize("truncation", [0.58, 0.333])
def test_between_rows_the_published_program_is_followed_only_when_asked(net, truncation):
    z, classes = inputs()
    with torch.no_grad():
        theirs = TWIN(torch.from_numpy(z), torch.from_numpy(classes), truncation).numpy()
    as_published = net.at(truncation, as_published=True)(z, classes)
    assert relative_error(np.asarray(as_published), theirs) <= MOST_RELATIVE_ERROR
    assert relative_error(np.asarray(net.at(truncation)(z, classes)), theirs) > 1e-3


def test_statistics_are_interpolated_between_neighbouring_rows():
    table = np.arange(51.0)[:, None] + np.zeros(3)
    for truncation, row in ((0.58, 29), (0.94, 47), (0.333, 16.65), (1.0, 50), (0.02, 1)):
        found = at_truncation({"norm": (table, 2 * table)}, truncation)
        np.testing.assert_allclose(found["norm/mean"], row, rtol=1e-6)
        np.testing.assert_allclose(found["norm/variance"], 2 * row, rtol=1e-6)


def test_without_v_spectral_norm_finds_it(net, tmp_path):
    path = tmp_path / "model.bin"
    state = {n: t for n, t in TWIN.state_dict().items() if not n.endswith("weight_v")}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    # v = W^T u / |W^T u| is what one more half of a power iteration gives: near to the stored one, not equal.
    difference = relative_error(
        np.asarray(gans.load(path).params["picture"]["kernel"]), np.asarray(net.params["picture"]["kernel"])
    )
    assert difference < 0.05


def test_one_class_vector_serves_all_parts(net):
    z, classes = inputs()
    every = np.repeat(z[:, None], SMALL.parts, 1)
    np.testing.assert_allclose(net(every, classes), net(z, classes), atol=1e-6)  # another order of sums


def test_the_layout_is_that_of_the_twin():
    assert expected(SMALL) == {name: tensor.shape for name, tensor in TENSORS.items()}


# Counted on the published networks, without tables and without spectral norm's vectors.
PARAMETERS = {"biggan-deep-128": 50_388_609, "biggan-deep-256": 55_880_833, "biggan-deep-512": 56_163_905}


@pytest.mark.parametrize("name", KNOWN)
def test_the_published_networks_have_as_many_parameters_and_are_recognized(name):
    shapes = expected(KNOWN[name])
    extra = ("_means", "_vars", "weight_u", "weight_v")
    count = sum(int(np.prod(shape)) for n, shape in shapes.items() if not n.endswith(extra))
    assert count == PARAMETERS[name] and recognize(shapes) is KNOWN[name]
    assert KNOWN[name].size == int(name.rsplit("-", 1)[1])


def test_the_published_modules_make_pictures():
    sizes = KNOWN["biggan-deep-128"]
    z, classes = (jax.ShapeDtypeStruct((2, n), np.float32) for n in (128, 1000))
    pictures, _ = jax.eval_shape(BigGANDeep(sizes).init_with_output, jax.random.key(0), z, classes)
    assert pictures.shape == (2, 128, 128, 3)


def test_draws_are_as_in_training(net):
    keys = jax.random.split(jax.random.key(0), 500)
    z, classes = jax.tree.map(np.asarray, jax.jit(jax.vmap(net.at(0.5).draw))(keys))
    assert np.abs(z).max() <= 1 and 0.4 < z.std() < 0.48  # 0.88 of a normal's deviation is left by the cut
    assert (classes.sum(1) == 1).all() and (classes.max(1) == 1).all() and classes.sum(0).min() > 0


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda net: net(jnp.zeros((2, 5)), jnp.zeros((2, 5))), r"latents of shape \(2, 5\)"),
        (lambda net: net(jnp.zeros((2, 6)), jnp.zeros((3, 5))), r"classes of shape \(3, 5\)"),
        (lambda net: net(jnp.zeros((2, 4, 6)), jnp.zeros((2, 5))), r"latents of shape \(2, 4, 6\)"),
        (lambda net: net.at(0.0), "truncation=0.0"),
        (lambda net: net.at(1.2), "truncation=1.2"),
        (lambda net: net.class_vector("chameleon"), "a network of 5 classes"),
    ],
)
def test_bad_input_is_refused(net, call, said):
    with pytest.raises(InvalidInput, match=said):
        call(net)
