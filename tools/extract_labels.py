"""Write `diffprog/models/data/imagenet_labels.txt` from the wheel of `timm` that carries the names.

    pip download --no-deps timm==1.0.19
    python tools/extract_labels.py timm-1.0.19-py3-none-any.whl

One line for each class of ImageNet-1k, in the order of the logits: the id of its WordNet synset, a tab, its
names separated by commas.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).parent.parent / "diffprog" / "models" / "data" / "imagenet_labels.txt"
FOLDER = "timm/data/_info"


def label_lines(wheel: Path) -> list[str]:
    """The thousand lines, in the order of the logits."""
    with zipfile.ZipFile(wheel) as archive:
        synsets = archive.read(f"{FOLDER}/imagenet_synsets.txt").decode().split()
        lemmas = archive.read(f"{FOLDER}/imagenet_synset_to_lemma.txt").decode().splitlines()
    names = dict(line.split("\t", 1) for line in lemmas)
    return [f"{synset}\t{names[synset]}" for synset in synsets]


def main(wheel: str) -> None:
    lines = label_lines(Path(wheel))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(lines)} classes")


if __name__ == "__main__":
    main(*sys.argv[1:])
