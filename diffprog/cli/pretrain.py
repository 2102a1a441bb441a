"""`diffprog pretrain`: a small CLIP from drawings and their names, kept while it goes and finished where it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import typer

from diffprog.cli import checks
from diffprog.cli.failures import INTERRUPTED, UNEXPECTED
from diffprog.contrastive import LOSSES, Pretrained, concepts, pretrain
from diffprog.contrastive.training import BATCH, EPOCHS, SMALL
from diffprog.data import openmoji, split
from diffprog.errors import InvalidInput
from diffprog.files import check_path
from diffprog.machine import tune
from diffprog.models import clip
from diffprog.optimize.progress import bar

__all__ = ["BATCH", "EPOCHS", "LOSSES", "OUT", "run"]
OUT = Path("openmoji_clip.safetensors")
LARGEST_PICTURE = 512


def run(out: Path, epochs: float, batch: int, size: int, loss: str, devices: int | None, seed: int) -> None:
    """Train, save, and say what is found of what was never seen.

    Raises:
        InvalidInput: numbers out of range, an unknown loss, a file that is there and no CLIP of ours, more devices
            than there are.
        Unreachable: a folder that cannot be written, or drawings that cannot be fetched.
        BadFile: the checkpoint beside the file is of another training.
        typer.Exit: it did not come to its end; the checkpoint was kept, and that is said.
    """
    path = _destination(out)
    checks.one_of("--loss", loss, LOSSES)
    checks.whole("--batch", batch, 2)
    checks.whole("--size", size, SMALL.patches, LARGEST_PICTURE)
    checks.whole("--seed", seed, 0, checks.LARGEST_SEED)
    if not 0 < epochs < 1e6:
        raise InvalidInput(f"--epochs {epochs:g}", "a number above 0", f"--epochs {EPOCHS}")
    SMALL.architecture(size, 514)
    over = _devices(devices, batch)
    drawings = openmoji(size)
    learn, test = (concepts(drawings, side) for side in split(drawings))
    if batch > len(learn.names):
        raise InvalidInput(
            f"--batch {batch}", f"at most the {len(learn.names)} that there are", f"--batch {BATCH}"
        )
    typer.echo(f"{len(learn.names)} concepts to learn from, {len(test.names)} others to be found")
    kept = checkpoint(path)
    made = pretrain(
        learn,
        test,
        sizes=SMALL,
        loss=loss,
        epochs=epochs,
        batch=batch,
        seed=seed,
        devices=over,
        checkpoint=kept,
        progress=bar("pretraining"),
    )
    _finish(made, path, kept)


def checkpoint(path: Path) -> Path:
    """Where a training is kept while it goes: beside what it will write.

    Example:
        >>> str(checkpoint(Path("small.safetensors")))
        'small.run.safetensors'
    """
    return path.with_name(f"{path.stem}.run.safetensors")


def _finish(made: Pretrained, path: Path, kept: Path) -> None:
    _say_why(made, kept)
    typer.echo(f"{clip.save(made.clip, path)}")
    kept.unlink(missing_ok=True)
    typer.echo(
        f"  of        {made.clip.name}, {made.run.steps} steps, the last at a loss of {made.run.history[-1]:.2f}"
    )
    typer.echo("  of what it never saw it finds")
    typer.echo("\n".join(f"            {line}" for line in str(made.held_out).splitlines()))
    typer.echo(f'  now       diffprog guide "a red heart" --scorer clip --clip {path} --generator fourier')


def _say_why(made: Pretrained, kept: Path) -> None:
    """Leave, with the reason, where a training did not come to its end."""
    if made.run.stopped == "finished":
        return
    if made.run.stopped != "interrupted":
        typer.echo(f"diffprog: {made.run.why}", err=True)
        raise typer.Exit(UNEXPECTED)
    if not made.run.steps:
        raise KeyboardInterrupt
    done = f"{made.run.steps} steps; {kept} has them, and the same command goes on from there"
    typer.echo(f"diffprog: interrupted after {done}", err=True)
    raise typer.Exit(INTERRUPTED)


def _destination(out: Path) -> Path:
    """The path, if it is free or what is there was made here."""
    path = checks.destination(out, lambda path: check_path(path, (".safetensors",)))
    if path.exists() and clip.described(path) is None:
        raise InvalidInput(
            f"{path}, which is there and was not made by diffprog pretrain",
            "a new file, or one that can be made again",
            f"--out {path.stem}_2.safetensors",
        )
    return path


def _devices(wanted: int | None, batch: int) -> Sequence[Any]:
    """The devices to spread over."""
    if wanted is not None:
        checks.whole("--devices", wanted, 1)
        tune(memory=False, devices=wanted)
    there = jax.local_devices()
    if wanted is not None and wanted > len(there):
        raise InvalidInput(
            f"--devices {wanted}", f"at most the {len(there)} that there are", f"--devices {len(there)}"
        )
    chosen = there[: wanted or len(there)]
    if batch % len(chosen):
        raise InvalidInput(
            f"--batch {batch} on {len(chosen)} devices",
            "as many drawings on every device",
            f"--batch {max(1, batch // len(chosen)) * len(chosen)}",
        )
    return chosen
