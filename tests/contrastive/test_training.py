"""Training: unseen pairs are found, resumed runs end the same bit for bit, devices change only the order of sums."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from diffprog.contrastive import Pretrained, concepts, contrastive_cost, pretrain
from diffprog.data import split
from diffprog.errors import InvalidInput
from diffprog.models import clip
from tests.contrastive.shapes import TINY, drawings
from tests.optimize.test_training import interrupting

pytestmark = pytest.mark.usefixtures("compiled_plainly")

LEARN, TEST = (concepts(drawings(), side, variants=2) for side in split(drawings()))


def trained(**options) -> Pretrained:
    settings = {"sizes": TINY, "batch": 24, "epochs": 120, "learning_rate": 5e-3, **options}
    return pretrain(LEARN, TEST, **settings)


@pytest.fixture(scope="module")
def whole() -> Pretrained:
    return trained()


def test_pairs_of_colour_and_shape_that_were_never_seen_together_are_found(whole) -> None:
    assert whole.run.steps == 120 and whole.held_out.among == 6
    # By chance a name finds its picture in one of six; guessing the colour alone finds it in about half.
    assert min(whole.held_out.pictures[1], whole.held_out.names[1]) >= 0.8
    assert whole.trained.pictures[1] >= 0.8
    assert whole.run.metrics[-1].values["pictures@1"] == whole.held_out.pictures[1]
    assert whole.run.history[-10:].mean() < whole.run.history[:10].mean() / 3


def test_an_interrupted_training_ends_the_same_bit_for_bit(tmp_path, whole) -> None:
    kept = tmp_path / "run.safetensors"
    first = trained(checkpoint=kept, progress=interrupting(7))
    assert (first.run.stopped, first.run.steps) == ("interrupted", 7)
    resumed = trained(checkpoint=kept)
    assert all(map(np.array_equal, jax.tree.leaves(resumed.run.value), jax.tree.leaves(whole.run.value)))
    assert np.array_equal(resumed.run.history, whole.run.history)
    assert resumed.run.metrics == whole.run.metrics
    files = [clip.save(made.clip, tmp_path / f"{i}.safetensors") for i, made in enumerate((whole, resumed))]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_was_trained_is_a_clip_in_one_file(tmp_path, whole) -> None:
    again = clip.load(clip.save(whole.clip, tmp_path / "tiny.safetensors"))
    pictures = LEARN.pictures[:3, 0].astype(np.float32) / 255
    names = [row[0] for row in LEARN.names[:3]]
    assert again.architecture == whole.clip.architecture
    assert np.array_equal(again.similarity(pictures, names), whole.clip.similarity(pictures, names))
    assert again.logit_scale == whole.clip.logit_scale


DEVICES = """
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_disable_most_optimizations", True)
from diffprog.contrastive import contrastive_cost
from diffprog.contrastive.cost import initial
from diffprog.contrastive.training import _arrays
from diffprog.models.clip import Tokenizer
from diffprog.models.clip.learning import learned
from tests.contrastive.test_training import LEARN, TINY

vocabulary = learned(name for row in LEARN.names for name in row)
architecture = TINY.architecture(12, len(vocabulary.numbers))
batch = jax.tree.map(lambda x: x[:8], _arrays(LEARN, Tokenizer(vocabulary, 16)))
shapes = jax.eval_shape(lambda: initial(architecture, "sigmoid", jax.random.key(0)))
draw = np.random.default_rng(0)
params = jax.tree.map(lambda leaf: draw.normal(0, 0.2, leaf.shape).astype(np.float32), shapes)
costs = [contrastive_cost(architecture, "sigmoid", devices) for devices in (None, jax.devices())]
one, two = (jax.jit(jax.value_and_grad(cost))(params, jax.random.key(1), batch) for cost in costs)
assert len(two[0].sharding.device_set) == 2
for got, want in zip(jax.tree.leaves(two), jax.tree.leaves(one), strict=True):
    # float32 sums in another order, of gradients up to 6: some units of the last place of what is summed
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)
"""


def test_devices_change_nothing_but_the_order_of_sums() -> None:
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "triplet"}, "info_nce"),
        ({"batch": 1000}, "batch="),
        ({"epochs": -1}, "epochs"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"sizes": TINY._replace(patches=5)}, "10 pixels"),
    ],
)
def test_bad_input_is_refused(options, said) -> None:
    with pytest.raises(InvalidInput) as caught:
        pretrain(LEARN, TEST, **{"sizes": TINY, "batch": 12, "epochs": 1, **options})
    assert said in str(caught.value)


def test_a_batch_that_devices_do_not_divide_is_refused() -> None:
    cost = contrastive_cost(TINY.architecture(12, 514), devices=[jax.devices()[0]] * 5)
    with pytest.raises(InvalidInput, match="as many examples on every device"):
        cost({}, jax.random.key(0), {"pictures": np.zeros((12, 1))})
