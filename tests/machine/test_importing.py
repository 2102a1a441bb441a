"""Importing the package leaves garbage collection as it was, and the command line asks for less of it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("before", [True, False])
def test_collection_is_as_before(before):
    program = f"""
import gc
{"gc.enable()" if before else "gc.disable()"}
import diffprog.cli.startup
assert gc.isenabled() is {before}
assert gc.get_freeze_count() == 0 and gc.get_threshold()[0] < 10_000
diffprog.cli.startup.prepare()
assert gc.isenabled() is {before} and gc.get_freeze_count() > 100_000
assert gc.get_threshold()[0] == diffprog.cli.startup.NEW_OBJECTS
"""
    subprocess.run([sys.executable, "-c", program], check=True)
