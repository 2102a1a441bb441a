"""Checkpoints: of this very problem, whole or not there."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diffprog.errors import BadFile, InvalidInput, Unreachable
from diffprog.optimize import Checkpoint, Stage, compiled, momentum, on_batches, optimize


def cost(w, target):
    return jnp.sum((w - target) ** 2)


START, TARGET = jnp.array([1.0, 2.0]), jnp.array([0.5, -1.0])
METHOD = momentum(0.1)


def kept(path, cost=cost, start=START, method=METHOD, args=(TARGET,), steps=4, **options):
    return optimize(
        cost, start, method, steps=steps, args=args, checkpoint=Checkpoint(path, every=2), **options
    )


@pytest.mark.parametrize(
    "other",
    [
        {"cost": lambda w, t: jnp.sum(jnp.abs(w - t))},
        {"start": START + 1},
        {"start": jnp.ones(3), "args": (jnp.ones(3),)},
        {"method": momentum(0.2)},
        {"method": optax.adam(0.1)},
        {"args": (TARGET + 1,)},
        {"seed": 1},
    ],
    ids=["cost", "start", "shape", "rate", "method", "data", "seed"],
)
def test_a_checkpoint_of_another_problem_is_refused_and_left(tmp_path, other):
    path = tmp_path / "run.safetensors"
    kept(path)
    before = path.read_bytes()
    with pytest.raises(BadFile, match="of another problem"):
        kept(path, **other)
    assert path.read_bytes() == before


def test_a_cost_that_closes_over_other_numbers_is_another_problem(tmp_path):
    path = tmp_path / "run.safetensors"

    def closed(numbers):
        return lambda w: jnp.sum((w - numbers) ** 2)

    kept(path, cost=closed(jnp.arange(2.0)), args=())
    with pytest.raises(BadFile, match="of another problem"):
        kept(path, cost=closed(jnp.arange(2.0) + 1), args=())
    kept(path, cost=closed(jnp.arange(2.0)), args=())  # another function of the same program goes on


@pytest.mark.parametrize("damage", [lambda b: b[:50], lambda b: b"no", lambda b: b"", lambda b: b[:-3]])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "run.safetensors"
    kept(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadFile, match="cannot be read"):
        kept(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "run.safetensors"
    save_file({"w": np.ones(2)}, path)
    with pytest.raises(BadFile, match="not a checkpoint"):
        kept(path)


def test_nothing_else_is_left_in_the_folder_and_no_folder_is_said(tmp_path):
    kept(tmp_path / "run.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    with pytest.raises(Unreachable, match="cannot be written"):
        kept(tmp_path / "none" / "run.safetensors")
    with pytest.raises(InvalidInput, match="every"):
        Checkpoint("run", every=0)


def test_populations_records_and_stages_resume(tmp_path):
    def noted(w, key):
        noise = jax.random.normal(key)
        return jnp.sum(w**2) * (1 + 0.1 * noise), noise

    starts, key = jnp.arange(6.0).reshape(3, 2), jax.random.key(0)
    options = {"start": starts, "args": (), "key": key, "population": True, "cost": noted}
    whole = kept(tmp_path / "a", steps=7, **options)
    kept(tmp_path / "b", steps=3, **options)
    resumed = kept(tmp_path / "b", steps=7, **options)
    assert (whole.value == resumed.value).all() and (whole.records == resumed.records).all()

    stages = [Stage(compiled(cost, METHOD), 3), Stage(compiled(lambda w, t: jnp.sum(w * t), METHOD), 3)]
    whole = optimize(stages, START, METHOD, args=(TARGET,))

    def killed(done, value, report):
        if done == 4:
            raise RuntimeError

    for _ in range(1):
        with pytest.raises(RuntimeError):
            optimize(
                stages,
                START,
                METHOD,
                args=(TARGET,),
                callback=killed,
                checkpoint=Checkpoint(tmp_path / "c", 1),
            )
    resumed = optimize(stages, START, METHOD, args=(TARGET,), checkpoint=Checkpoint(tmp_path / "c"))
    assert (whole.value == resumed.value).all() and (whole.history == resumed.history).all()


def test_batches_larger_than_the_data_are_refused():
    drawn = on_batches(lambda w, x: jnp.mean((w - x) ** 2), size=11)
    with pytest.raises(InvalidInput, match="batches of 11 from 10 examples"):
        optimize(drawn, 0.0, METHOD, steps=1, key=jax.random.key(0), args=(jnp.arange(10.0),))
