"""Photographs from outside: every kind comes out as float32 RGB in [0, 1] with its changes said, or is refused."""

import os
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from diffprog.errors import BadFile, DiffprogError, InvalidInput, Unreachable
from diffprog.vision.photo import Photo, as_photo, keep_quiet, read_photo
from tests.vision import photo_files as files
from tests.vision.photo_files import colours, written


def read(tmp_path, name, data):
    """The pixels, and what was said of them."""
    said = []
    photo = read_photo(written(tmp_path, name, data), announce=said.append)
    assert photo.pixels.dtype == np.float32
    assert photo.pixels.ndim == 3 and photo.pixels.shape[-1] == 3
    assert photo.pixels.min() >= 0 and photo.pixels.max() <= 1
    assert said == [f"{name}: {note}" for note in photo.notes]
    return photo.pixels, photo.notes


def exactly(pixels):
    return pixels.astype(np.float32) / 255


EXACT = {  # of lossless files: format, mode, and whether anything is to be said
    "photo.png": ("PNG", "RGB", ()),
    "photo.webp": ("WEBP", "RGB", ()),
    "photo.tif": ("TIFF", "RGB", ()),
    "photo.bmp": ("BMP", "RGB", ()),
    "photo.ppm": ("PPM", "RGB", ()),
    "opaque.png": ("PNG", "RGBA", ()),
    "grey.png": ("PNG", "L", ("grey; red, green and blue are the same",)),
    "greyer.tif": ("TIFF", "L", ("grey; red, green and blue are the same",)),
    "bits.png": ("PNG", "1", ("grey; red, green and blue are the same",)),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_lossless_file_is_read_to_the_bit(tmp_path, name):
    kind, mode, said = EXACT[name]
    picture = Image.fromarray(colours()).convert(mode)
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, notes = read(tmp_path, name, files.saved(picture, kind, **options))
    np.testing.assert_array_equal(pixels, exactly(np.asarray(picture.convert("RGB"))))
    assert notes == said


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_comes_out_upright(tmp_path, orientation):
    pixels, notes = read(tmp_path, "turned.png", files.turned(orientation))
    np.testing.assert_array_equal(pixels, exactly(colours()))
    assert (orientation == 1) == (notes == ())
    assert all("turned upright" in note for note in notes)


@pytest.mark.parametrize("orientation", [0, 9, 99, 65535])
def test_an_orientation_that_does_not_exist_is_none(tmp_path, orientation):
    exif = Image.Exif()
    exif[files.ORIENTATION] = orientation
    pixels, notes = read(tmp_path, "a.png", files.saved(Image.fromarray(colours()), exif=exif))
    np.testing.assert_array_equal(pixels, exactly(colours()))
    assert notes == ()


def test_broken_exif_is_left_out(tmp_path):
    data = files.saved(files.noise(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff" + b"\xff" * 40)
    pixels, _ = read(tmp_path, "exif.jpg", data)
    assert pixels.shape == (64, 64, 3)


def test_a_jpeg_is_near_the_photograph(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (32, 32, 3))
    pixels, notes = read(tmp_path, "a.jpg", files.saved(Image.fromarray(smooth.copy()), "JPEG", quality=95))
    assert np.abs(pixels - exactly(smooth)).max() < 3 / 255  # what quality 95 loses of a smooth ramp
    assert notes == ()


def test_transparent_is_laid_over_white(tmp_path):
    pixels, notes = read(tmp_path, "a.png", files.translucent())
    np.testing.assert_allclose(pixels[0], [[1, 0, 0], [1, 1, 1], [1, 0.8, 0.8]], atol=1e-6)  # float32
    assert notes == ("partly transparent; laid over white",)


def test_a_palette_with_a_transparent_colour(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putdata([0, 1])
    pixels, _ = read(tmp_path, "plain.png", files.saved(picture))
    np.testing.assert_array_equal(pixels[0], exactly(np.array([[10, 20, 30], [200, 100, 50]])))
    pixels, notes = read(tmp_path, "clear.png", files.saved(picture, transparency=0))
    np.testing.assert_array_equal(pixels[0], exactly(np.array([[255, 255, 255], [200, 100, 50]])))
    assert notes == ("partly transparent; laid over white",)


def test_sixteen_bits_of_grey_are_all_read(tmp_path):
    values = np.array([[0, 1, 256], [32768, 65534, 65535]], np.uint16)
    pixels, notes = read(tmp_path, "deep.png", files.deep_png(values))
    np.testing.assert_array_equal(pixels[..., 1], values.astype(np.float32) / 65535)
    assert notes == ("grey; red, green and blue are the same",)
    tiff, _ = read(tmp_path, "deep.tif", files.saved(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(tiff, pixels)


def test_sixteen_bits_of_colour_are_halved_and_that_is_said(tmp_path):
    values = (colours().astype(np.uint16) << 8) + 77
    pixels, notes = read(tmp_path, "deep.png", files.deep_png(values))
    np.testing.assert_array_equal(pixels, exactly(colours()))
    assert notes == ("16 bits a colour, of which the upper 8 were read",)


def test_cmyk_is_turned_to_rgb_and_that_is_said(tmp_path):
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    pixels, notes = read(tmp_path, "print.tif", files.saved(cyan, "TIFF"))
    np.testing.assert_allclose(pixels[0, 0], [0, 1, 1], atol=1 / 255)
    assert len(notes) == 1 and notes[0].startswith("CMYK without a colour profile")
    pixels, _ = read(tmp_path, "print.jpg", files.saved(cyan, "JPEG", quality=95))
    np.testing.assert_allclose(pixels[0, 0], [0, 1, 1], atol=8 / 255)  # JPEG, in four channels


def test_a_profile_of_srgb_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels, notes = read(tmp_path, "a.png", files.saved(Image.fromarray(colours()), icc_profile=profile))
    np.testing.assert_array_equal(pixels, exactly(colours()))
    assert notes == ()


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200, files.swapped_profile()])
def test_a_profile_that_cannot_be_used_is_left_out(tmp_path, profile):
    pixels, notes = read(tmp_path, "a.png", files.saved(Image.fromarray(colours()), icc_profile=profile))
    np.testing.assert_array_equal(pixels, exactly(colours()))
    assert notes == ("a colour profile that cannot be used; left out",)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_an_animation_gives_its_first_frame(tmp_path, kind):
    pixels, notes = read(tmp_path, f"film.{kind.lower()}", files.animation(kind))
    assert np.abs(pixels - [1, 0, 0]).max() < 0.02  # WebP rounds colours
    assert notes == ("several frames or pictures in one file; the first was taken",)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_tiny_photographs_are_read(tmp_path, size):
    pixels, _ = read(tmp_path, "tiny.png", files.saved(Image.new("RGB", size, (51, 102, 204))))
    assert pixels.shape == (size[1], size[0], 3)
    np.testing.assert_allclose(pixels[-1, -1], [0.2, 0.4, 0.8], atol=1e-6)


def test_a_large_photograph_is_read(tmp_path):
    pixels, _ = read(tmp_path, "large.png", files.saved(Image.new("RGB", (4000, 3000), (255, 0, 0))))
    assert pixels.shape == (3000, 4000, 3)


@pytest.mark.parametrize("data", [files.bomb(), files.patient_bomb()], ids=["billions", "millions"])
def test_a_bomb_is_refused_before_a_pixel_is_decoded(tmp_path, monkeypatch, data):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoding began"))
    with pytest.raises(BadFile, match="pixels") as refused:
        read(tmp_path, "bomb.png", data)
    assert "more than the memory" in refused.value.expected


def test_the_limit_can_be_set(tmp_path):
    path = written(tmp_path, "a.png", files.saved(Image.fromarray(colours())))
    with pytest.raises(BadFile, match="8 x 6 = 48 pixels"):
        read_photo(path, most_pixels=47)
    assert read_photo(path, most_pixels=48).pixels.shape == (6, 8, 3)


PHOTOGRAPHS = {
    "photo.png": files.saved(files.noise()),
    "photo.jpg": files.saved(files.noise(), "JPEG"),
    "photo.gif": files.saved(files.noise(), "GIF"),
    "photo.webp": files.saved(files.noise(), "WEBP"),
    "photo.tif": files.saved(files.noise(), "TIFF"),
    "photo.bmp": files.saved(files.noise(), "BMP"),
    "photo.ppm": files.saved(files.noise(), "PPM"),
}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_file_cut_short_is_refused(tmp_path, name):
    with pytest.raises(BadFile, match="damaged or cut short"):
        read(tmp_path, name, files.cut(PHOTOGRAPHS[name]))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(PHOTOGRAPHS)))
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path_factory, data, name):
    bytes_ = bytearray(PHOTOGRAPHS[name])
    for _ in range(data.draw(st.integers(1, 8))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.mktemp("damaged"), name, bytes(bytes_))
    try:
        photo = read_photo(path, most_pixels=1_000_000, announce=keep_quiet)
    except DiffprogError as refused:
        assert refused.got and refused.expected and refused.remedy
    else:
        assert photo.pixels.dtype == np.float32 and np.isfinite(photo.pixels).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"a letter, not a photograph", "no picture"),
        (b"\x89PNG\r\n\x1a\n", "no picture"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture"),  # would run Ghostscript
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, data, message):
    with pytest.raises(BadFile, match=message) as refused:
        read(tmp_path, "photo.jpg", data)
    assert refused.value.expected and refused.value.remedy


def test_numbers_without_a_range_are_refused(tmp_path):
    data = files.saved(Image.fromarray(np.ones((3, 3), np.float32)), "TIFF")
    with pytest.raises(InvalidInput, match="mode F"):
        read(tmp_path, "depth.tif", data)


def test_what_is_not_there_cannot_be_reached(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name in ("missing.png", ".", "pipe.png", "loop.png", "no\0name.png"):
        with pytest.raises(Unreachable) as refused:
            read_photo(tmp_path / name)
        assert refused.value.expected and refused.value.remedy


def test_a_file_that_may_not_be_read(tmp_path):
    path = written(tmp_path, "secret.png", files.saved(Image.fromarray(colours())))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(Unreachable, match="may not be read"):
        read_photo(path)


def test_arrays_and_photographs_stand_for_themselves(tmp_path):
    photo = Photo(np.zeros((2, 3, 3), np.float32))
    assert as_photo(photo) is photo
    np.testing.assert_array_equal(as_photo(exactly(colours())).pixels, exactly(colours()))
    path = written(tmp_path, "a.png", files.saved(Image.fromarray(colours())))
    np.testing.assert_array_equal(as_photo(str(path)).pixels, exactly(colours()))


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        (np.zeros((4, 4)), "stack"),
        (np.zeros((1, 4, 4, 3)), r"photo\[0\]"),
        (np.zeros((4, 4, 4)), "opacity"),
        (np.zeros((0, 4, 3)), "read_photo"),
        (np.zeros((4, 4, 3), np.uint8), "255"),
        (np.full((4, 4, 3), 200.0), "/ 255"),
        (np.full((4, 4, 3), -0.1), "clip"),
        (np.full((4, 4, 3), np.nan), "nan_to_num"),
    ],
)
def test_other_arrays_are_refused(array, remedy):
    with pytest.raises(InvalidInput, match="photograph") as refused:
        as_photo(array)
    assert re.search(remedy, refused.value.remedy)
