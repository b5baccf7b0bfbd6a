"""Opening by name, and what that imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tflite.edited import valid_file
from tinyse.errors import InputError
from tinyse.runtimes import RUNTIMES, open_runtime


def test_an_unknown_runtime_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown runtime 'gpu'; use oracle, tflm"):
        open_runtime("gpu", "model.tflite")


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_missing_model_is_named(name, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        open_runtime(name, tmp_path / "nothing")


def test_the_integer_runtimes_import_no_tensorflow(tmp_path):
    (tmp_path / "m.tflite").write_bytes(valid_file())
    script = (
        "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'tf_keras')))\n"
        "from tinyse.runtimes import open_runtime\n"
        "for name in ('oracle', 'tflm'): open_runtime(name, sys.argv[1])\n"
        "assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "m.tflite"], check=True)
