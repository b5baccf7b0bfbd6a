"""Which backend Keras is asked for: named before anything is imported, with what installs it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# `tinyse train` on a backend, without the packages that are named.
SCRIPT = """
import sys
for name in sys.argv[1:]:
    sys.modules[name] = None
from tinyse.errors import TinySEError
try:
    from tinyse.network import backend
except TinySEError as error:
    print(error.exit_code, error)
"""


def said(backend: str, *missing: str) -> str:
    environment = os.environ | {"KERAS_BACKEND": backend}
    command = [sys.executable, "-c", SCRIPT, *missing]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("backend", ["torch", "jaxx", "numpy"])
def test_a_backend_that_there_is_not_is_named(backend):
    assert said(backend) == f"2 KERAS_BACKEND: is {backend}; use tensorflow or jax"


@pytest.mark.parametrize(("backend", "extra"), [("jax", "jax"), ("tensorflow", "train")])
def test_a_backend_that_is_missing_names_its_own_extra(backend, extra):
    for missing in (backend, "keras"):
        line = said(backend, missing)
        assert line.startswith(f"3 {missing} is not installed"), line
        assert f"'tinyse[{extra}]'" in line
