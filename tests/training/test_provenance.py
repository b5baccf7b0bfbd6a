"""A run goes on as what it was begun as."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("keras")

from tinyse.errors import InputError, ResumeRefused
from tinyse.files import write_json
from tinyse.run_folder import same_run

RECORD = {
    "recipe_sha256": "a", "manifest_sha256": "b", "valid_list_sha256": ["c"], "backend": "jax",
    "source_sha256": "d", "teacher_sha256": "e", "seed": 1, "cores": 2,
}  # fmt: skip


@pytest.mark.parametrize("key", RECORD)
def test_what_changed_is_named(key, tmp_path):
    path = tmp_path / "run.json"
    write_json(path, RECORD)
    same_run(path, RECORD, force=False)
    changed = RECORD | {key: None}
    same_run(path, changed, force=True)
    with pytest.raises(ResumeRefused, match=f"another {key}"):
        same_run(path, changed, force=False)


def test_the_vectors_that_computed_are_compared_where_both_say(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, RECORD)  # from before it was written down
    same_run(path, RECORD | {"compiled_for": "amx_bf16"}, force=False)
    write_json(path, RECORD | {"compiled_for": "avx2"})
    with pytest.raises(ResumeRefused, match="another compiled_for"):
        same_run(path, RECORD | {"compiled_for": "amx_bf16"}, force=False)


def test_the_versions_of_what_computed_are_compared(tmp_path):
    path, versions = tmp_path / "run.json", {"jax": "0.10", "keras": "3.15", "tensorflow": "2.21"}
    write_json(path, RECORD | {"versions": versions})
    same_run(path, RECORD | {"versions": versions | {"tensorflow": "2.22"}}, force=False)
    for name in ("jax", "keras"):
        with pytest.raises(ResumeRefused, match=f"another version of {name}"):
            same_run(path, RECORD | {"versions": versions | {name: "4"}}, force=False)


def test_a_run_that_is_no_object_is_one_line(tmp_path):
    write_json(tmp_path / "run.json", [RECORD])
    with pytest.raises(InputError, match="is no JSON object"):
        same_run(tmp_path / "run.json", RECORD, force=False)


@pytest.mark.parametrize(
    ("backend", "variable"), [("tensorflow", "TF_NUM_INTRAOP_THREADS"), ("jax", "NPROC")]
)
def test_threads_are_those_that_the_backend_was_given(backend, variable):
    """As a sweep shares them out: the order of sums goes by them, not by the cores there are."""
    pytest.importorskip(backend)
    code = "from tinyse.network import backend; print(backend.threads())"
    environment = os.environ | {"KERAS_BACKEND": backend, variable: "3"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
