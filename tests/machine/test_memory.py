"""Memory that is needed and memory that is free."""

import jax
import jax.numpy as jnp
import numpy as np

from diffprog.machine import memory


def test_a_program_needs_its_arguments_its_result_and_what_lies_between():
    compiled = jax.jit(lambda x: jnp.sort(x @ x)).lower(jnp.zeros((256, 256))).compile()
    array = 256 * 256 * 4
    needed = memory.needed(compiled)
    assert needed is not None and 2 * array <= needed <= 8 * array


def test_what_is_free_is_some_of_what_there_is():
    free = memory.free()
    assert free is None or 0 < free < 1 << 50


def test_the_smaller_of_machine_and_container_counts(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       2000 kB\nMemAvailable:   1000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    assert memory.free() == 1000 * 1024
    for name, text in (("memory.max", "700000"), ("memory.current", "300000")):
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 50000\n")
    assert memory.free() == 450_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free() == 1000 * 1024
    meminfo.write_text("nothing of the kind\n")
    assert memory.free() is None


def test_needs_grow_with_the_picture():
    def step(x):
        return jax.grad(lambda x: jnp.sum(jnp.tanh(x) ** 2))(x)

    needs = [memory.needed(jax.jit(step).lower(jnp.zeros((s, s))).compile()) for s in (64, 128)]
    assert np.isclose(needs[1], 4 * needs[0], rtol=0.1)  # all of it is arrays of the picture's size
