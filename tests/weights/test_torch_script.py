"""TorchScript archives, written byte by byte: their tensors are read, and nothing of their programs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffprog.errors import BadFile
from diffprog.weights import read
from tests.weights.handmade import Built, Call, Checkpoint, Global, Raw, encode, pickled, storage, tensor

ELEMENTS = np.arange(4, dtype=np.float32)
TENSOR = tensor(storage("0", 4), 0, (2, 2), (2, 1))


def new(name: str, arguments: bytes = b")") -> Raw:
    """An object of a class of the program's own, as torch's pickler makes it."""
    return Raw(
        encode(Global("__torch__." + name.rpartition(".")[0], name.rpartition(".")[2])) + arguments + b"\x81"
    )


def module(name: str, attributes: Any) -> Built:
    return Built(new(name), attributes)


def archive(folder: Path, tree: Any) -> Path:
    """The pickle with its storage, and a program that nobody may look at."""
    raw = Checkpoint(tree, {"0": ELEMENTS}).as_zip()
    buffer = io.BytesIO(raw)
    with zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr("archive/code/__torch__/model.py", "import os; os.mkdir('ran')")
        opened.writestr("archive/constants.pkl", b"\x80\x02cos\nsystem\n.")
    path = folder / "program.pt"
    path.write_bytes(buffer.getvalue())
    return path


def test_modules_are_read_as_paths_of_attributes(tmp_path):
    attention = module(
        "torch.nn.modules.activation.MultiheadAttention", {"in_proj_weight": TENSOR, "training": False}
    )
    ints = Call(Global("torch.jit._pickle", "build_intlist"), ([1, 2],))
    tagged = Call(Global("torch.jit._pickle", "restore_type_tag"), ({"a": TENSOR}, "Dict[str, Tensor]"))
    program = module(
        "model.CLIP", {"visual": attention, "sizes": ints, "scale": TENSOR, "named": tagged, "n": 3}
    )
    read_back = read(archive(tmp_path, program))
    assert sorted(read_back) == ["named/a", "scale", "visual/in_proj_weight"]
    np.testing.assert_array_equal(read_back["scale"], ELEMENTS.reshape(2, 2))
    assert not (tmp_path / "ran").exists()


def test_names_that_torch_mangled_are_read_too(tmp_path):
    program = module("torch.nn.modules.linear.___torch_mangle_17.Linear", {"weight": TENSOR})
    assert list(read(archive(tmp_path, program))) == ["weight"]


HOSTILE = {
    "a new object of another class": (Raw(b"ccollections\nOrderedDict\n)\x81"), "NEWOBJ"),
    "a class that is not the program's": (Raw(b"cos\nsystem\n)\x81"), "os.system"),
    "a call of a class": (Call(Global("__torch__.model", "CLIP"), ()), "calls '__torch__.model.CLIP'"),
    "a new object with arguments": (new("model.CLIP", b"(Nt"), "NEWOBJ"),
    "a new object of a number": (Raw(b"K\x03)\x81"), "NEWOBJ"),
    "a state that is no table": (module("model.CLIP", [1]), "table of attributes"),
    "a state with slots": (module("model.CLIP", (None, {"a": 1})), "table of attributes"),
    "attributes that are no names": (module("model.CLIP", {1: TENSOR}), "table of attributes"),
    "a state set twice": (Built(module("model.CLIP", {"a": TENSOR}), {"b": TENSOR}), "table of attributes"),
    "an item set on an object": (Raw(new("model.CLIP").opcodes + b"K\x01K\x02s"), "not a dict"),
    "a state on a class": (Built(Global("__torch__.model", "CLIP"), {"a": 1}), "state of a Named"),
    "a list that is no list": (Call(Global("torch.jit._pickle", "build_intlist"), ("12",)), "no list"),
    "an object within itself": (
        Raw(new("model.CLIP").opcodes + b"q\x00}(" + encode("a") + b"h\x00ub"),
        "within themselves",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_programs_made_to_do_harm_are_refused(tmp_path, name):
    tree, said = HOSTILE[name]
    with pytest.raises(BadFile) as caught:
        read(archive(tmp_path, {"tree": tree, "w": TENSOR}))
    assert said in caught.value.got, caught.value.got
    assert caught.value.expected and caught.value.remedy


def test_a_pickle_outside_of_an_archive_may_not_have_them(tmp_path):
    path = tmp_path / "pickle"
    path.write_bytes(pickled({"a": module("model.CLIP", {"b": 1})}))
    with pytest.raises(BadFile, match="not on the list of names"):
        read(path)
