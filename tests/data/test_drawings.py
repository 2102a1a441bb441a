"""Drawings: what their code points say, a split that parts no family, and a training on them that is resumed."""

import json
import zipfile

import numpy as np
import pytest

from demos import drawings as demo
from diffprog.data import Drawings, openmoji, render, split
from diffprog.data import drawings as module
from diffprog.data.drawings import FOLDER, OWN, family, group_of
from diffprog.errors import BadFile, InvalidInput
from diffprog.optimize.progress import silent
from diffprog.weights.sources import LocalFile, hash_of

pytestmark = pytest.mark.usefixtures("compiled_plainly")

GROUPS = {"1F468": "People & Body", "1F3F4": "Flags", "1F3F4-200D-2620": "Symbols"}
RED = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="4" height="8" fill="#f00"/></svg>'
)


@pytest.mark.parametrize(
    ("code", "group", "of_family"),
    [
        ("1F468", "People & Body", "1F468"),
        ("1F468-1F3FD-200D-1F680", "People & Body", "1F468-200D-1F680"),
        ("1F3F4-200D-2620-FE0F", "Symbols", "1F3F4-200D-2620"),  # the longest beginning counts
        ("1F3F4-E0067-E007F", "Flags", "1F3F4-E0067-E007F"),
        ("1F3FD", None, "1F3FD"),  # a tone by itself is a drawing of its own
        ("E0AB", OWN, "E0AB"),
        ("0041", None, "0041"),
    ],
)
def test_code_points_tell_group_and_family(code, group, of_family) -> None:
    assert group_of(code, GROUPS) == group
    assert family(code) == of_family


def stand_in(count: int = 240, size: int = 16) -> Drawings:
    """Discs, squares and stripes of any colour and place; two of a family differ in their colour alone."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    pictures, kinds, families = [], [], []
    for number in range(count // 2):
        kind = ("disc", "square", "stripes")[number % 3]
        cy, cx, r = (*rng.uniform(6, 10, 2), rng.uniform(3, 5))
        shape = {
            "disc": (y - cy) ** 2 + (x - cx) ** 2 < r**2,
            "square": np.maximum(abs(y - cy), abs(x - cx)) < r,
            "stripes": (y - cy).astype(int) % 4 < 2,
        }[kind]
        for _ in range(2):
            pictures.append(np.where(shape[..., None], rng.integers(0, 160, 3), 255).astype(np.uint8))
            kinds.append(kind)
            families.append(f"{number}")
    codes = tuple(f"{n:04X}" for n in range(count))
    return Drawings(np.stack(pictures), codes, codes, tuple(kinds), tuple(families))


def test_a_split_parts_no_family() -> None:
    drawings = stand_in()
    learn, test = split(drawings, share=0.25)
    families = np.array(drawings.families)
    assert sorted([*learn, *test]) == list(range(240))
    assert not set(families[learn]) & set(families[test])
    assert len(set(families[test])) == 30
    assert not np.array_equal(split(drawings, 0.25, seed=1)[1], test)
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        split(drawings, share=1.0)


def test_an_interrupted_training_ends_the_same_bit_for_bit() -> None:
    run = demo.trainer(demo.task(stand_in()), epochs=5)
    whole = run()
    assert whole.steps == 15
    for after in (1, 7, 11):
        assert demo.same(demo.interrupted_and_resumed(run, after, silent), whole), after
    other = demo.trainer(demo.task(stand_in()), epochs=5, seed=1)()
    assert not demo.same(other, whole)  # so that equal means something


@pytest.mark.thorough
def test_the_network_of_the_demo_learns_shapes() -> None:
    what = demo.task(stand_in())
    run = demo.trainer(what, epochs=15)()
    assert demo.most_frequent(what) < 0.5
    assert run.metrics[-1].values["test"] > 0.8  # families it never saw


def test_a_drawing_is_rendered_on_white() -> None:
    pytest.importorskip("resvg_py")
    picture = render(RED, 4)
    assert picture.shape == (4, 4, 3) and picture.dtype == np.uint8
    assert (picture[:, :2] == (255, 0, 0)).all() and (picture[:, 2:] == 255).all()
    assert render(RED.replace("0 0 8 8", "0 0 8 4"), 6).shape == (6, 6, 3)  # not square
    with pytest.raises(BadFile, match="cannot be rendered"):
        render("no drawing", 4)
    with pytest.raises(InvalidInput, match="whole number"):
        render(RED, 0)


def test_a_wheel_becomes_drawings_once(tmp_path, monkeypatch) -> None:
    pytest.importorskip("resvg_py")
    monkeypatch.setenv("DIFFPROG_CACHE", str(tmp_path / "cache"))
    wheel = tmp_path / "drawings.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for code in ("1F468", "1F468-1F3FD", "E001", "0041"):
            archive.writestr(f"{FOLDER}{code}.svg", RED)
        archive.writestr("other/0042.svg", RED)
    rows = {
        "NAMES": {"\U0001f468": {"en": ":man:"}},
        "GROUPS": [{"unified": "1F468", "category": "People & Body"}],
    }
    for name, content in rows.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        monkeypatch.setattr(module, name, local(path))
    monkeypatch.setattr(module, "DRAWINGS", local(wheel))
    said: list[str] = []
    first = openmoji(8, announce=said.append)
    assert first.codes == ("1F468", "1F468-1F3FD", "E001")  # a letter has no group
    assert first.names == ("man", "", "") and first.groups == ("People & Body", "People & Body", OWN)
    assert first.families == ("1F468", "1F468", "E001")
    assert len(said) == 1
    again = openmoji(8, announce=said.append)
    assert len(said) == 1  # from the cache
    assert np.array_equal(again.pictures, first.pictures) and again[1:] == first[1:]
    assert openmoji(8, most=2, announce=said.append).codes == ("1F468", "E001")


def local(path) -> LocalFile:
    return LocalFile(path, hash_of(path))


@pytest.mark.network
def test_real_drawings_are_learned_from_and_the_training_resumed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DIFFPROG_CACHE", str(tmp_path))
    drawings = openmoji(24, most=300)
    assert drawings.pictures.shape == (300, 24, 24, 3)
    assert len(set(drawings.groups)) == 10
    assert sum(map(bool, drawings.names)) > 250
    run = demo.trainer(demo.task(drawings), epochs=3)
    assert demo.same(demo.interrupted_and_resumed(run, 4, silent), run())
