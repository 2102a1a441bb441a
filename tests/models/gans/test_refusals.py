"""Weight files that are no published generator, or not quite one, are refused in three parts."""

import numpy as np
import pytest

from diffprog import weights
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.models import gans
from tests.models.gans.tiny import SMALL, saved, tensors_of

# One tensor of each that must be there, one that tells sizes, and a shape that is another's.
NEEDED = {
    "biggan": ("generator.layers.2.conv_1.bias", "embeddings.weight", "generator.layers.0.bn_2.running_vars"),
    "vqgan": (
        "decoder.up.1.attn.0.proj_out.bias",
        "decoder.conv_in.weight",
        "decoder.up.0.block.0.conv2.bias",
    ),
    "stylegan2": ("synthesis.b8.torgb.bias", "mapping.fc1.weight", "synthesis.b16.conv0.noise_const"),
}


def refused(folder, tensors, *args, **options):
    path = folder / "file"
    weights.save(path, tensors)
    with pytest.raises(BadFile) as caught:
        gans.load(path, *args, **options)
    error = caught.value
    assert error.got.startswith(str(path)) and error.expected and error.remedy and len(str(error)) < 2000
    return error


@pytest.mark.parametrize("kind", SMALL)
def test_missing_surplus_and_misshapen_tensors_are_named(kind, tmp_path):
    missing, of_size, misshapen = NEEDED[kind]
    tensors = tensors_of(kind)
    wrong = {n: t for n, t in tensors.items() if n != missing} | {misshapen: np.zeros(77, np.float32)}
    error = refused(tmp_path, wrong | {"generator.extra": np.zeros(3, np.float32)})
    assert f"1 missing ({missing})" in error.got and "1 surplus (generator.extra)" in error.got
    assert f"1 of another shape ({misshapen} [77] instead of" in error.got
    assert any(f"nearest to is {name}: " in error.remedy for name in gans.loading.kind_of(kind).known)
    error = refused(tmp_path, {n: t for n, t in tensors.items() if n != of_size})
    assert "not complete" in error.got and of_size in error.remedy


@pytest.mark.parametrize(
    "kind, other", [("biggan", "vqgan"), ("vqgan", "stylegan2"), ("stylegan2", "biggan")]
)
def test_weights_of_another_kind_say_which_they_fit(kind, other, tmp_path):
    error = refused(tmp_path, tensors_of(other), kind)
    assert "weights of no" in error.got and "missing" in error.got and "surplus" in error.got
    title = gans.loading.kind_of(other).title
    assert error.remedy == f"kind={other!r} (--generator {other}): they fit {title} {SMALL[other].name}"


@pytest.mark.parametrize(
    "name, said",
    [
        ("visual.conv1.weight", "CLIP"),
        ("netG_state_dict/main.0.weight", "DCGAN"),
        ("G.shared.weight", "ajbrock"),
        ("something", "another file, or the whole one"),
    ],
)
def test_files_of_other_networks_are_told(name, said, tmp_path):
    error = refused(tmp_path, {name: np.zeros((3, 3), np.float32)})
    assert "BigGAN-deep or VQGAN or StyleGAN2" in error.got and said in error.remedy


def test_numbers_that_are_not_finite_or_not_real_are_refused(tmp_path):
    tensors = tensors_of("vqgan")
    name = "decoder.conv_out.bias"
    assert "not all finite" in refused(tmp_path, tensors | {name: np.full(3, np.nan, np.float32)}).got
    assert "of int32" in refused(tmp_path, tensors | {name: np.zeros(3, np.int32)}).got


def test_another_architecture_than_the_asked_for_is_refused(tmp_path):
    error = refused(tmp_path, tensors_of("vqgan"), architecture="f16-1024")
    assert "not those of VQGAN f16-1024" in error.got and "missing" in error.got


def test_half_precision_is_read(tmp_path):
    weights.save(tmp_path / "half", {n: t.astype(np.float16) for n, t in tensors_of("vqgan").items()})
    assert gans.load(tmp_path / "half").params["conv_out"]["kernel"].dtype == np.float32


@pytest.mark.parametrize(
    "options, said",
    [({"kind": "bigan"}, "kind='biggan'"), ({"architecture": "f16-16385"}, "'f16-16384'")],
)
def test_unknown_names_are_refused(options, said, tmp_path):
    with pytest.raises(InvalidInput, match=said):
        gans.load(saved(tmp_path, "vqgan"), **options)


def test_no_file_is_said(tmp_path):
    with pytest.raises(Unreachable):
        gans.load(tmp_path / "none")
