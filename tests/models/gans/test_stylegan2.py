"""StyleGAN2 against its twin in PyTorch, at seeded weights in both published layouts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput
from diffprog.models import gans
from diffprog.models.gans.stylegan2.layout import KNOWN, expected, optional, recognize
from diffprog.models.gans.stylegan2.modules import Synthesis, upsampled
from tests.models.pictures import relative_error

torch = pytest.importorskip("torch")
from tests.models.gans.parity import compared  # noqa: E402
from tests.models.gans.stylegan2_twin import SMALL, as_rosinality, twin  # noqa: E402

# Two correct float32 networks differ by some 1e-6 here; a wrong tap, gain or style by more than 1e-2.
MOST_RELATIVE_ERROR = 1e-5
TWIN = twin()
STATE = TWIN.state_dict()
TENSORS = {name: tensor.detach().numpy() for name, tensor in STATE.items()}
DRAW = np.random.default_rng(0)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("stylegan2") / "model.safetensors"
    weights.save(path, TENSORS)
    return gans.load(path)


def test_pictures_and_gradients_agree_with_pytorch(net):
    """By z, and by what is added to the style of every layer."""
    z = DRAW.standard_normal((2, SMALL.latent)).astype(np.float32)
    added = DRAW.standard_normal((2, SMALL.styles, SMALL.style)).astype(np.float32)
    weight = DRAW.standard_normal((16, 16, 3)).astype(np.float32)
    errors, pictures, (_, by_added) = compared(
        lambda z, added: net.synthesis(net.mapping(z, 0.7)[:, None] + added),
        lambda z, added: TWIN(TWIN.styles(z, 0.7) + added),
        (z, added),
        weight,
    )
    assert max(errors) <= MOST_RELATIVE_ERROR and np.isin(pictures, (0, 1)).mean() < 0.8
    assert np.abs(by_added).max((0, 2)).min() > 0  # every layer's style counts


def test_one_style_serves_all_layers(net):
    z = DRAW.standard_normal((2, SMALL.latent)).astype(np.float32)
    with torch.no_grad():
        theirs = TWIN(TWIN.styles(torch.from_numpy(z), 1.0)).numpy()
    assert relative_error(np.asarray(net(z)), theirs) <= MOST_RELATIVE_ERROR


def test_the_layout_is_that_of_the_twin():
    assert expected(SMALL) == {name: tensor.shape for name, tensor in TENSORS.items()}


def test_the_other_layout_gives_the_same_network(net, tmp_path):
    path = tmp_path / "550000.pt"
    torch.save(as_rosinality(STATE), path)
    other = gans.load(path)
    same = jax.tree.map(
        np.array_equal,
        (net.mapping_params, net.synthesis_params, net.average, net.noise),
        (other.mapping_params, other.synthesis_params, other.average, other.noise),
    )
    assert jax.tree.all(same) and other.architecture == net.architecture == SMALL


def test_names_in_refusals_are_those_of_the_file(tmp_path):
    checkpoint = as_rosinality(STATE)["g_ema"]
    del checkpoint["convs.1.activate.bias"]
    torch.save(checkpoint, tmp_path / "a.pt")
    with pytest.raises(BadFile, match=r"1 missing \(convs\.1\.activate\.bias\)"):
        gans.load(tmp_path / "a.pt")
    checkpoint = as_rosinality(STATE)["g_ema"] | {"convs.1.activate.bias": torch.zeros(9)}
    torch.save(checkpoint, tmp_path / "b.pt")
    with pytest.raises(BadFile, match=r"convs\.1\.activate\.bias \[9\] instead of \[5\]"):
        gans.load(tmp_path / "b.pt")


def test_without_an_average_the_mean_of_many_draws_is_taken(tmp_path):
    path = tmp_path / "model.safetensors"
    weights.save(path, {name: t for name, t in TENSORS.items() if name != "mapping.w_avg"})
    net = gans.load(path)
    styles = np.asarray(net.mapping(DRAW.standard_normal((4096, SMALL.latent)).astype(np.float32)))
    # The deviation of the difference of two means of n draws is that of one draw times sqrt(2 / n): 4 of them.
    assert (np.abs(styles.mean(0) - net.average) < 4 * styles.std(0) * np.sqrt(2 / 4096)).all()


def test_noise_is_data(net):
    z = DRAW.standard_normal((2, SMALL.latent)).astype(np.float32)
    own, none = np.asarray(net(z)), np.asarray(net(z, noise=[np.zeros_like(one) for one in net.noise]))
    other = [DRAW.standard_normal((2, *one.shape)).astype(np.float32) for one in net.noise]
    assert np.abs(own - none).max() > 0.05
    second = np.asarray(net(z, noise=[np.stack([0 * one[0], one[1]]) for one in other]))
    np.testing.assert_allclose(second[0], none[0], atol=1e-5)  # another order of sums
    assert np.abs(second[1] - none[1]).max() > 0.05


def test_truncation_moves_styles_to_the_average(net):
    z = DRAW.standard_normal((2, SMALL.latent)).astype(np.float32)
    np.testing.assert_allclose(net.mapping(z, 0.0), np.tile(net.average, (2, 1)))
    np.testing.assert_allclose(
        net.mapping(3 * z), net.mapping(z), rtol=1e-4
    )  # only the direction of z counts


def test_growing_keeps_a_constant_but_at_the_border():
    grown = upsampled(jnp.ones((1, 5, 6, 2)))
    assert grown.shape == (1, 10, 12, 2)
    np.testing.assert_allclose(grown[:, 1:-1, 1:-1], 1, rtol=1e-6)
    np.testing.assert_allclose(grown[0, 0, 5], 0.75, rtol=1e-6)


@pytest.mark.parametrize("name", KNOWN)
def test_published_networks_are_recognized(name):
    assert recognize(expected(KNOWN[name])) is KNOWN[name]


def test_the_published_1024_has_as_many_parameters_and_makes_pictures():
    sizes = KNOWN["stylegan2-1024"]
    buffers = ("w_avg", "noise_const", "resample_filter")
    count = sum(int(np.prod(s)) for n, s in expected(sizes).items() if not n.endswith(buffers))
    assert count == 30_370_060  # as published: 30.37 million
    assert optional("mapping.w_avg") and sizes.styles == 18
    styles = jax.ShapeDtypeStruct((1, 18, 512), np.float32)
    noise = [
        jax.ShapeDtypeStruct((n, n), np.float32) for n in (4, *np.repeat(sizes.resolutions[1:], 2).tolist())
    ]
    made, _ = jax.eval_shape(Synthesis(sizes).init_with_output, jax.random.key(0), styles, noise)
    assert made.shape == (1, 1024, 1024, 3)


def test_another_filter_is_refused(tmp_path):
    other = {"synthesis.b8.conv0.resample_filter": np.full((4, 4), 1 / 16, np.float32)}
    weights.save(tmp_path / "a", TENSORS | other)
    with pytest.raises(BadFile, match=r"another low-pass filter in synthesis\.b8\.conv0"):
        gans.load(tmp_path / "a")


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda net: net(jnp.zeros((2, 6))), r"latents of shape \(2, 6\)"),
        (lambda net: net.synthesis(jnp.zeros((2, 3, 8))), r"styles of shape \(2, 3, 8\)"),
        (lambda net: net.synthesis(jnp.zeros((2, 8)), noise=net.noise[1:]), "noise of shapes"),
    ],
)
def test_bad_input_is_refused(net, call, said):
    with pytest.raises(InvalidInput, match=said):
        call(net)
