"""Training: every example once an epoch, resumed runs bit for bit, files that come back, bad input in words."""

import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffprog import BadFile, InvalidInput, Unreachable
from diffprog.optimize.saved import load_tree, save_tree
from diffprog.optimize.shuffling import batches, epoch_order
from diffprog.optimize.training import train

KEY = jax.random.key(0)
X = jnp.linspace(-1.0, 1.0, 40)
DATA = (X, 3 * X - 1)
START = {"w": jnp.array(0.0), "b": jnp.array(0.0)}
ADAM = optax.adam(0.05)


def cost(params, batch):
    x, y = batch
    return jnp.mean((params["w"] * x + params["b"] - y) ** 2)


def noisy(params, key, batch):
    return cost(params, (batch[0] + 0.01 * jax.random.normal(key, batch[0].shape), batch[1]))


def quality(params):
    return {"cost": cost(params, DATA)}


def settings_of(**changed):
    return {"batch": 8, "epochs": 4, "key": KEY, "keyed": True, "evaluate": quality, "every": 3, **changed}


# ---- batches --------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 30), size=st.integers(1, 30), first=st.integers(0, 40), seed=st.integers(0, 9))
def test_an_epoch_sees_no_example_twice_and_any_step_can_be_the_first(count, size, first, seed):
    size = min(size, count)
    key, data = jax.random.key(seed), np.arange(count)
    each = count // size
    start = first - first % each
    walked = list(itertools.islice(batches(data, size, key, start), each))
    seen = np.concatenate(walked)
    assert len(set(seen.tolist())) == len(seen) == each * size
    assert np.array_equal(next(batches(data, size, key, first)), walked[first % each])


def test_epochs_differ_and_are_permutations():
    orders = [epoch_order(KEY, 50, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_batches_keep_pictures_and_labels_together():
    data = {"x": np.arange(20.0)[:, None] * np.ones(3), "label": np.arange(20)}
    one = next(batches(data, 7, KEY))
    assert one["x"].shape == (7, 3)
    assert np.array_equal(one["x"][:, 0], one["label"])


# ---- the run --------------------------------------------------------------------------------------------------


def test_all_of_the_data_in_a_batch_is_gradient_descent(x64):
    """On a quadratic the error shrinks by 1 - lr lambda in every step, to rounding."""
    run = train(
        lambda w, batch: jnp.mean((w - batch) ** 2) / 2,
        jnp.array(5.0),
        optax.sgd(0.1),
        jnp.arange(11.0),
        batch=11,
        epochs=20,
        key=KEY,
    )
    assert abs(float(run.value) - 5.0) < 1e-12  # the mean of the data is the minimum, and the start
    away = train(
        lambda w, batch: jnp.mean((w - batch) ** 2) / 2,
        jnp.array(9.0),
        optax.sgd(0.1),
        jnp.arange(11.0),
        batch=11,
        epochs=20,
        key=KEY,
    )
    np.testing.assert_allclose(float(away.value) - 5.0, 4 * 0.9**20, rtol=1e-12)


def test_metrics_come_every_so_often_and_at_the_end():
    run = train(cost, START, ADAM, DATA, **settings_of(keyed=False, every=7))
    assert [(m.step, m.epoch) for m in run.metrics] == [(7, 1.4), (14, 2.8), (20, 4.0)]
    assert run.metrics[-1].values["cost"] == float(cost(run.value, DATA))
    assert (run.steps, run.stopped, len(run.history)) == (20, "finished", 20)


def interrupting(after):
    """A progress that is interrupted, as by Ctrl-C, after so many steps."""

    class Told:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def __call__(self, done, report):
            if done == after:
                raise KeyboardInterrupt

    return lambda total: Told()


@pytest.mark.parametrize("after", [1, 6, 11])
def test_an_interrupted_run_goes_on_to_the_same_numbers(after, tmp_path):
    path = tmp_path / "run.safetensors"
    whole = train(noisy, START, ADAM, DATA, **settings_of())
    part = train(noisy, START, ADAM, DATA, **settings_of(checkpoint=path, progress=interrupting(after)))
    assert (part.stopped, part.steps) == ("interrupted", after)
    rest = train(noisy, START, ADAM, DATA, **settings_of(checkpoint=path))
    assert rest.stopped == "finished"
    assert np.array_equal(rest.history, whole.history)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(a == b), rest.value, whole.value))
    assert rest.metrics == whole.metrics
    again = train(noisy, START, ADAM, DATA, **settings_of(checkpoint=path))  # nothing left to do
    assert np.array_equal(again.history, whole.history)


def test_more_epochs_go_on_from_where_fewer_ended(tmp_path):
    path = tmp_path / "run.safetensors"
    train(noisy, START, ADAM, DATA, **settings_of(epochs=2, checkpoint=path))
    longer = train(noisy, START, ADAM, DATA, **settings_of(checkpoint=path))
    assert np.array_equal(longer.history, train(noisy, START, ADAM, DATA, **settings_of()).history)


def test_nothing_is_compiled_twice():
    traced = []

    def counted(params, batch):
        traced.append(1)
        return cost(params, batch)

    train(counted, START, ADAM, DATA, batch=8, epochs=2, key=KEY)
    once = len(traced)
    train(counted, START, ADAM, DATA, batch=8, epochs=3, key=jax.random.key(1))
    assert len(traced) == once


def test_a_cost_that_is_not_finite_keeps_the_last_good_value():
    def breaks(w, batch):
        return jnp.where(w < 1.0, w * jnp.mean(batch), jnp.nan)

    run = train(breaks, jnp.array(0.0), optax.sgd(-0.3), jnp.ones(10), batch=2, epochs=4, key=KEY)
    assert run.stopped == "not finite"
    assert run.steps == 4  # 0, 0.3, 0.6, 0.9 were good; 1.2 is kept, and what it costs is not
    np.testing.assert_allclose(float(run.value), 1.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"batch": 41}, "batches of 41 from 40"),
        ({"batch": 0}, "batches of 0"),
        ({"batch": 2.5}, "batches of 2.5"),
        ({"epochs": -1}, "epochs=-1"),
        ({"every": 0}, "every=0"),
    ],
)
def test_bad_settings_are_refused(changed, says):
    with pytest.raises(InvalidInput, match=says):
        train(noisy, START, ADAM, DATA, **settings_of(**changed))


def test_data_of_different_lengths_is_refused():
    with pytest.raises(InvalidInput, match="leading axis"):
        train(cost, START, ADAM, (X, X[:-1]), batch=8, epochs=1, key=KEY)


def test_a_cost_that_is_no_scalar_is_refused():
    with pytest.raises(InvalidInput, match="scalar"):
        train(lambda p, batch: batch[0] * p["w"], START, ADAM, DATA, batch=8, epochs=1, key=KEY)


@pytest.mark.parametrize(
    "other", [{"batch": 10}, {"key": jax.random.key(1)}, {"epochs": 1}, {"data": (X, X)}, {"start": None}]
)
def test_a_checkpoint_of_another_training_is_refused(other, tmp_path):
    path = tmp_path / "run.safetensors"
    train(noisy, START, ADAM, DATA, **settings_of(epochs=2, checkpoint=path))
    data = other.pop("data", DATA)
    start = {"w": jnp.array(1.0), "b": jnp.array(0.0)} if "start" in other else START
    other.pop("start", None)
    with pytest.raises(BadFile, match="another training"):
        train(noisy, start, ADAM, data, **settings_of(checkpoint=path, **other))


def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    train(noisy, START, ADAM, DATA, **settings_of(epochs=2, checkpoint=path))
    with pytest.raises(BadFile, match="another training"):
        train(noisy, START, optax.sgd(0.1), DATA, **settings_of(checkpoint=path))


# ---- files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "bool"])
def test_a_tree_comes_back_bit_for_bit(dtype, tmp_path):
    values = jnp.asarray(jax.random.normal(KEY, (3, 4)), dtype)
    tree = {"a": {"b": values}, "c": (values[0], values[0, 0])}
    save_tree(tmp_path / "t.safetensors", tree)
    back = load_tree(tmp_path / "t.safetensors", jax.eval_shape(lambda: tree))
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()) and a.dtype == b.dtype, back, tree))


def test_a_key_comes_back(tmp_path):
    save_tree(tmp_path / "t.safetensors", {"key": jax.random.key(7)})
    back = load_tree(tmp_path / "t.safetensors", {"key": jax.random.key(0)})["key"]
    assert jax.random.normal(back) == jax.random.normal(jax.random.key(7))


def test_any_reader_of_safetensors_finds_the_names(tmp_path):
    from diffprog import weights

    path = tmp_path / "t.safetensors"
    save_tree(path, {"linear": {"kernel": jnp.ones((2, 3))}})
    assert list(weights.read(path)) == ["linear/kernel"]


WRONG = {
    "has 'b'": {"a": jnp.ones(2)},
    "lacks 'c'": {"a": jnp.ones(2), "b": jnp.ones(2), "c": jnp.ones(2)},
    "has 'a' as float32": {"a": jnp.ones(3), "b": jnp.ones(2)},
    "has 'b' as float32": {"a": jnp.ones(2), "b": jnp.ones(2, int)},
}


@pytest.mark.parametrize("says", WRONG)
def test_a_file_of_another_structure_is_refused(says, tmp_path):
    save_tree(tmp_path / "t.safetensors", {"a": jnp.ones(2), "b": jnp.ones(2)})
    with pytest.raises(BadFile, match=says):
        load_tree(tmp_path / "t.safetensors", WRONG[says])


def test_damage_is_refused_and_nothing_is_left_behind(tmp_path):
    path = tmp_path / "t.safetensors"
    save_tree(path, {"a": jnp.ones(200)})
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(BadFile, match="cannot be read"):
        load_tree(path, {"a": jnp.ones(200)})
    with pytest.raises(Unreachable):
        load_tree(tmp_path / "none", {})
    with pytest.raises(Unreachable):
        save_tree(Path("/proc/none/t.safetensors"), {"a": jnp.ones(2)})
    with pytest.raises(InvalidInput, match="two leaves"):
        save_tree(path, {"a": {"b": jnp.ones(2)}, "a/b": jnp.ones(2)})
    assert [file.name for file in tmp_path.iterdir()] == ["t.safetensors"]


POINTS = jnp.ones(40)


def nearness(w, batch):
    return jnp.mean((w - batch) ** 2)


def farness(w, batch):
    return jnp.mean((w + batch) ** 2)


def plainly(cost=nearness, start=5.0, method=None, **options):
    method = method or optax.sgd(0.1)
    options = {"batch": 10, "epochs": 2, "key": jax.random.key(0), **options}
    return train(cost, start, method, POINTS, **options)


def test_a_rate_that_diverges_is_said_and_the_best_is_kept():
    run = plainly(start=jnp.array(5.0), method=optax.sgd(3.0), epochs=100)
    assert run.stopped == "diverged" and "smaller learning rate" in run.why
    assert run.value == 5.0  # every step went up
    assert run.steps < 20


@pytest.mark.parametrize(
    ("cost", "start", "says"),
    [
        (nearness, jnp.int32(5), "floating-point leaves"),
        (lambda w, batch: jnp.mean(batch), {}, "without a single number"),
        (lambda w, batch: jnp.mean(w["a"] - batch), jnp.array(5.0), "fails on the start"),
        (lambda w, batch: jnp.mean(jnp.log(w) + batch), jnp.array(-5.0), "a cost of nan at the start"),
    ],
)
def test_a_start_that_cannot_be_trained_is_refused(cost, start, says):
    with pytest.raises(InvalidInput, match=says):
        plainly(cost, start)


@pytest.mark.parametrize("other", [{"cost": farness}, {"method": optax.sgd(0.01)}])
def test_a_checkpoint_of_another_cost_or_rate_is_refused(other, tmp_path):
    path = tmp_path / "run.safetensors"
    plainly(start=jnp.array(5.0), checkpoint=path)
    assert plainly(start=jnp.array(5.0), checkpoint=path, epochs=3).steps == 12  # the same one goes on
    with pytest.raises(BadFile, match="another training"):
        plainly(start=jnp.array(5.0), checkpoint=path, epochs=4, **other)
