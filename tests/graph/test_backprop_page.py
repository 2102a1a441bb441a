"""What the page "Backprop, watched" prints is what its code prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs/backprop.md"
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_every_printed_number_is_produced_by_the_code_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    printed, compared = "", 0
    for language, block in BLOCKS:
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, "<stdin>", "exec"), names)
            printed = out.getvalue()
        else:
            assert [line.rstrip() for line in printed.splitlines()] == block.splitlines()
            compared += 1
    assert compared >= 6
