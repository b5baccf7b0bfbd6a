"""A run goes on as what it was begun as."""

from __future__ import annotations

import pytest

pytest.importorskip("keras")

from tinyse.errors import ResumeRefused
from tinyse.files import write_json
from tinyse.training.provenance import same_run

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
