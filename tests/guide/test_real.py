"""Row 20 of the lecture on real networks: a sentence, a GAN's latent, and a judge that had no part."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from diffprog.cli.main import app
from diffprog.guide import guide, judged, read_manifest, scorers
from diffprog.models import load

pytestmark = pytest.mark.network


def test_words_can_be_seen_in_faces_by_a_network_that_had_no_part():
    generator, scorer = load("dcgan-faces"), scorers.words()
    made = guide(
        "a person wearing a cowboy hat", generator=generator, scorer=scorer, n=2, steps=40, screen=16
    )
    assert (made.scores > made.start_scores + 1).all()  # e times as likely at least
    (verdict,) = judged(
        made, generator=generator, scorer=scorer, judge=scorers.words("efficientnet-lite1"), draws=112
    )
    print(verdict)
    assert verdict.guided.mean() > verdict.started.mean()
    # Normal vectors of 100 numbers are 10 +- 0.7 long; latents far from that give no faces.
    assert (np.abs(np.linalg.norm(made.latents, axis=-1) - 10) < 3).all()


def test_the_first_command_raises_the_score_of_every_seed(tmp_path):
    """`diffprog guide "a person wearing sunglasses"` at a small setting, by its own manifest."""
    out, film = tmp_path / "worn.png", tmp_path / "worn.gif"
    options = ("--n", "3", "--steps", "25", "--seed", "5", "--out", str(out), "--film", str(film))
    result = CliRunner().invoke(app, ["guide", "a person wearing sunglasses", *options])
    assert result.exit_code == 0, result.output
    made = read_manifest(out)
    print(result.stdout)
    assert (made["generator"], made["stopped"]) == ("dcgan-faces", "finished")
    # The score is a log-probability. Where the best of the draws wears sunglasses already, little can be gained.
    assert (np.array(made["scores"]) > np.array(made["start_scores"]) + 0.05).all()
    with Image.open(film) as frames:
        assert frames.n_frames > 10


def test_the_words_scorer_ranks_the_class_that_it_names_first():
    scorer = scorers.words()
    net = load("efficientnet-lite0")
    for sentence, name in (
        ("a person wearing sunglasses", "sunglasses"),
        ("a doctor in a lab coat", "lab coat"),
    ):
        assert int(np.argmax(scorer.read([sentence])[0])) == net.class_index(name)
