"""Sweeps: every unit's own picture, whatever else is drawn, whenever it was stopped, on however many devices."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import diffprog as dp
from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.vision import sweeps
from diffprog.vision.sweeps import manifest
from diffprog.vision.sweeps import run as the_sweep
from diffprog.vision.sweeps.units import Unit, folder_name
from tests.vision.sweeps.network import CHANNELS, RECIPE, SOME, network, run

REPOSITORY = Path(__file__).parents[3]


def pictures(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "units"
    done = run(folder)
    assert done == (folder, 8 + CHANNELS, 8 + CHANNELS, "finished")
    return folder


def test_every_unit_is_the_picture_that_visualize_draws_with_its_key(whole):
    unit = Unit("layer1/relu", 7)
    alone = dp.visualize(
        network, dp.channel("layer1/relu", 7), recipe=RECIPE, key=unit.key(jax.random.key(3))[None]
    )
    with Image.open(whole / unit.file) as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), np.round(alone.images[0] * 255).astype(np.uint8))
    assert manifest.record(whole, unit)["score"] == pytest.approx(
        float(alone.scores[0]), abs=1e-4
    )  # 4 decimals


def test_it_goes_on_with_what_is_missing_and_draws_nothing_twice(whole, tmp_path, monkeypatch):
    count = []
    real = the_sweep._write
    monkeypatch.setattr(
        the_sweep, "_write", lambda *args: (real(*args), count.append(1), _stop_at(len(count), 5))
    )
    stopped = run(tmp_path)
    assert stopped.stopped == "interrupted" and len(pictures(tmp_path)) == 5
    assert "5 of 8 units" in stopped.page.read_text()
    monkeypatch.setattr(the_sweep, "_write", real)
    assert run(tmp_path).drawn == 8 + CHANNELS - 5
    assert pictures(tmp_path) == pictures(whole)
    assert run(tmp_path).drawn == 0


def _stop_at(count: int, last: int) -> None:
    if count == last:
        raise KeyboardInterrupt


def test_channels_that_are_asked_for_later_are_added(whole, tmp_path):
    kwargs = {"recipe": RECIPE, "key": 3}
    assert dp.sweep(network, "layer1/r*", tmp_path, channels=[2, 0], **kwargs).drawn == 2
    assert dp.sweep(network, "layer1/relu", tmp_path, channels=[0, 5], **kwargs).drawn == 1
    assert manifest.read(tmp_path)["layers"] == {"layer1/relu": [0, 2, 5]}
    every = pictures(whole)
    assert all(every[name] == data for name, data in pictures(tmp_path).items())


@pytest.mark.parametrize(
    "change",
    [{"recipe": RECIPE.replace(steps=7)}, {"key": 4}, {"size": 32}, {"group": 2}],
    ids=["recipe", "key", "size", "group"],
)
def test_a_folder_of_another_sweep_is_refused_and_stays(whole, change):
    before = pictures(whole), (whole / manifest.NAME).read_bytes()
    with pytest.raises(InvalidInput, match="holds a sweep of another"):
        dp.sweep(network, "layer0/relu", whole, **{"recipe": RECIPE, "key": 3, **change})
    assert (pictures(whole), (whole / manifest.NAME).read_bytes()) == before


def test_a_folder_of_another_network_is_refused(whole):
    with pytest.raises(InvalidInput, match="another network"):
        dp.sweep(lambda x: network(x * 1.5), "layer0/relu", whole, recipe=RECIPE, key=3)


@pytest.mark.parametrize(
    ("layers", "changes", "told"),
    [
        ([], {}, "no layer"),
        ("layer7", {}, "layer7"),
        ("layer0/relu", {"channels": [8]}, "channel 8"),
        ("layer0/relu", {"channels": []}, "no channel"),
        ("layer0/relu", {"group": 0}, "group=0"),
        ("layer0/relu", {"steps": 0}, "steps=0"),
    ],
)
def test_bad_input_is_refused_before_a_folder_is_made(tmp_path, layers, changes, told):
    with pytest.raises(InvalidInput, match=told):
        dp.sweep(network, layers, tmp_path / "new", **{"recipe": RECIPE, **changes})
    assert not (tmp_path / "new").exists()


def test_damaged_files_are_named(tmp_path):
    dp.sweep(network, "layer0/relu", tmp_path, channels=[0, 1], recipe=RECIPE)
    first = tmp_path / Unit("layer0/relu", 0).file
    first.write_bytes(b"not a picture")
    with pytest.raises(BadFile, match="does not say how it was drawn"):
        dp.sweep(network, "layer0/relu", tmp_path, channels=[0, 1], recipe=RECIPE)
    (tmp_path / manifest.NAME).write_text("{")
    with pytest.raises(BadFile, match=r"manifest\.json"):
        dp.sweep(network, "layer0/relu", tmp_path, channels=[0, 1], recipe=RECIPE)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unreachable, match="cannot be made"):
        dp.sweep(network, "layer0/relu", tmp_path / "file" / "units", recipe=RECIPE)


def test_a_full_disk_leaves_what_was_drawn_and_can_go_on(tmp_path, monkeypatch):
    real, wrote = os.replace, []

    def full(source, target):
        if str(target).endswith(".png") and len(wrote) >= 2:
            raise OSError(28, "No space left on device")
        wrote.append(str(target).endswith(".png"))
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Unreachable, match="No space left"):
        dp.sweep(network, "layer0/relu", tmp_path, channels=[0, 1, 2], recipe=RECIPE)
    there = len(pictures(tmp_path))
    assert 0 < there < 3 and not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(os, "replace", real)
    assert dp.sweep(network, "layer0/relu", tmp_path, channels=[0, 1, 2], recipe=RECIPE).drawn == 3 - there


def test_a_unit_that_never_wakes_does_not_stop_the_others(tmp_path):
    def with_dead(images):
        with jax.named_scope("gate"):
            return jax.nn.relu(network(images) - np.eye(CHANNELS)[0] * 1e6)

    done = dp.sweep(with_dead, "gate/relu", tmp_path, channels=[0, 1], recipe=RECIPE)
    assert done.drawn == 2
    layer = next(iter(manifest.read(tmp_path)["layers"]))
    assert [manifest.record(tmp_path, Unit(layer, c))["score"] > 0 for c in (0, 1)] == [False, True]


def test_photographs_that_excite_a_unit_are_shown_beside_it(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, color in {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}.items():
        Image.new("RGB", (40, 30), color).save(photos / f"{name}.png")
    (photos / "broken.jpg").write_bytes(b"nothing")

    def reddest(images):
        with jax.named_scope("colors"):
            return jax.nn.relu(images.mean((1, 2)))

    done = dp.sweep(reddest, "colors/relu", tmp_path / "units", recipe=RECIPE, photographs=photos)
    page = done.page.read_text()
    figures = [part.split("</figure>")[0] for part in page.split("<figure")[1:]]
    first = [figure.split('class="natural"')[1].split('alt="')[1].split('"')[0] for figure in figures]
    assert first == ["red.png", "green.png", "blue.png"] and "broken" not in page
    assert len(list((tmp_path / "units/photographs").glob("*.jpg"))) == 3
    with pytest.raises(Unreachable, match="no folder"):
        dp.sweep(reddest, "colors/relu", tmp_path / "units", recipe=RECIPE, photographs=tmp_path / "gone")


def test_names_of_layers_make_folders_that_stay_apart():
    names = ["a/b", "a-b", "../a", "a b", "Ä", "params['x']"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all(
        set(f) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") for f in folders
    )
    assert not any(f.startswith((".", "-")) and "/" in f for f in folders)


def environment(**more: str) -> dict[str, str]:
    """Other processes find what this one compiled."""
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **cache, **more}


@contextmanager
def sweeps_to_kill(folder: Path) -> Iterator[Callable[[int, float], int]]:
    """Kill a sweep into the folder after so many pictures and so many seconds; how it ended."""
    command = [sys.executable, "-m", "tests.vision.sweeps.network", str(folder), "--killed"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment(), stdin=pipe, stdout=pipe, text=True
    ) as one:
        assert one.stdin and one.stdout and one.stdout.readline() == "ready\n"

        def kill(pictures: int, seconds: float) -> int:
            print(pictures, seconds, file=one.stdin, flush=True)
            return int(one.stdout.readline())

        yield kill
        one.stdin.close()


def test_killed_at_twenty_random_moments_it_loses_repeats_and_halves_nothing(whole, tmp_path):
    folder, chance = tmp_path / "units", random.Random(0)
    whole_pictures, seen, unfinished = pictures(whole), {}, 0
    with sweeps_to_kill(folder) as kill:
        for _ in range(20):
            drawn = chance.randrange(4)
            # before the first picture, somewhere in the second of its start; after it, within some pictures' time
            ended = kill(drawn, chance.uniform(0.0, 0.02 if drawn else 1.0))
            now = pictures(folder)
            assert now.items() >= seen.items()  # nothing lost, nothing drawn again into something else
            assert now.items() <= whole_pictures.items()  # nothing half-written: the bits of an unbroken run
            unfinished += ended == -signal.SIGKILL
            seen = now
            if now == whole_pictures:  # it came to its end: begin anew
                for picture in folder.rglob("*.png"):
                    picture.unlink()
                seen = {}
    assert unfinished >= 15
    assert run(folder).drawn == len(whole_pictures) - len(seen)
    assert pictures(folder) == whole_pictures
    assert not list(folder.rglob("*.part"))


def test_several_host_devices_draw_the_same_pictures(whole, tmp_path):
    env = environment(XLA_FLAGS="--xla_force_host_platform_device_count=4")
    command = [sys.executable, "-m", "tests.vision.sweeps.network", str(tmp_path / "units"), "--some"]
    subprocess.run(command, cwd=REPOSITORY, env=env, check=True, capture_output=True)
    assert json.loads((tmp_path / "units" / manifest.NAME).read_text())["group"] == 4
    same_pixels(tmp_path / "units", whole)


def test_two_processes_on_loopback_share_a_sweep(whole, tmp_path):
    script = (
        "import sys, jax\n"
        "jax.distributed.initialize('127.0.0.1:' + sys.argv[1], 2, int(sys.argv[2]))\n"
        "from tests.vision.sweeps.network import SOME, run\n"
        "print(run(sys.argv[3], **SOME).drawn, len(jax.devices()))\n"
    )
    port, folder = str(20_000 + os.getpid() % 20_000), tmp_path / "units"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, port, str(number), str(folder)],
            cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert all(out.split()[-2:] == [str(len(SOME["channels"])), "2"] for out, _ in told)
    same_pixels(folder, whole)


def same_pixels(folder: Path, other: Path) -> None:
    """Another number of pictures in a group compiles to another program: equal to a level of 255 after six steps."""
    mine, theirs = pictures(folder), pictures(other)
    assert (
        mine.keys() == {Unit(SOME["layers"], channel).file for channel in SOME["channels"]} <= theirs.keys()
    )
    for name in mine:
        with Image.open(folder / name) as a, Image.open(other / name) as b:
            assert np.abs(np.asarray(a, int) - np.asarray(b, int)).max() <= 1, name


def test_the_room_exports_what_users_call():
    assert dp.sweep is sweeps.sweep
