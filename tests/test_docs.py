"""The documentation runs: every Python block as printed, with small pictures, and every command in CI."""

import dataclasses
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import diffprog
from diffprog import models
from diffprog.vision import canvases, recipes, regularizers, transforms

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONG = {"recipes.md", "guide.md", "objectives.md", "clip.md", "contrastive.md"}  # many programs to compile
SMALL = {"size": 48, "steps": 2, "progress": None}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def marked(page: Path) -> Any:
    return pytest.param(page, id=page.name, marks=pytest.mark.thorough if page.name in LONG else ())


@pytest.mark.parametrize("page", [marked(page) for page in PAGES])
def test_python_blocks_run_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = diffprog.visualize

    def small(model: Any, objective: Any, **options: Any) -> Any:
        size = min(options.get("size") or SMALL["size"], SMALL["size"])
        recipe = options.get("recipe") or recipes.default_for(model)
        own = getattr(recipe.canvas, "size", size)  # a photograph's
        quick = recipe.replace(redirect_steps=0)  # one program to compile, not two
        return whole(model, objective, **{**options, **SMALL, "size": own, "recipe": quick})

    monkeypatch.setattr(diffprog, "visualize", small)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    found = blocks(page, "python")
    assert found
    for number, block in enumerate(found):
        exec(compile(block, f"{page.name}, Python block {number + 1}", "exec"), names)


def test_every_printed_command_is_run_in_ci() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    assert lines[:2] == ["pip install . && diffprog visualize chameleon", 'pip install ".[test]" && pytest']
    assert [line for line in lines if f"printed '{line}'" not in script] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_the_readme_lists_all_networks_and_licences() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for card in models.CARDS:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{card.name}`"))
        assert card.title in row
        assert f"| {card.input_size} |" in row
        assert f"| {card.parameters / 1e6:.1f} million |" in row
        assert f"| {card.licence} |" in row


def test_all_recipes_are_described() -> None:
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    assert [name for name in recipes.RECIPES if f"--recipe {name}" not in text] == []


@pytest.mark.parametrize("room", [canvases, regularizers, transforms], ids=lambda room: room.__name__)
def test_all_parts_of_recipes_are_described(room: ModuleType) -> None:
    text = (ROOT / "docs/visualize.md").read_text(encoding="utf-8")
    own = {name: part for name, part in vars(room).items() if dataclasses.is_dataclass(part)}
    parts = {*own} - {"Geometric", "Compose", "Sized"}
    assert parts
    assert {name for name in parts if not re.search(rf"`(\w+\.)?{name}`", text)} == set()
