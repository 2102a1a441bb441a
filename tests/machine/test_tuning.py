"""Settings of the process: each does what it says, in a process of its own, and says when it cannot."""

import subprocess
import sys

import pytest

from diffprog.errors import InvalidInput
from diffprog.machine import tune

FAULTS = """
import resource, sys
from diffprog.machine import tune
if sys.argv[1] == "tuned":
    assert tune()[0].done
import jax, jax.numpy as jnp
x = jnp.ones((100352, 16))
f = jax.jit(lambda x: (lambda y: y @ y.T[:, :8])(jnp.tanh(jnp.concatenate([x] * 8, 1))).sum())
assert f.lower(x).compile().memory_analysis().temp_size_in_bytes > 2**25
for _ in range(30):  # the heap settles
    f(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    f(x).block_until_ready()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 3)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_kept_memory_is_not_faulted_in_again():
    assert faults("tuned") * 4 < faults("plain")


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    setting = tune(memory=False, compiled=tmp_path / "file" / "below")[1]
    assert not setting.done
    assert "cannot be written" in str(setting)


@pytest.mark.parametrize("devices", [0, -1, 1.5, True])
def test_devices_are_counted(devices):
    with pytest.raises(InvalidInput, match="devices"):
        tune(memory=False, devices=devices)


def test_the_settings_print_one_line_each():
    settings = tune(memory=False)
    assert len(settings) == len(str(settings).splitlines()) == 3
