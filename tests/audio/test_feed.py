"""The feed gives the mixer's batches, wherever it starts."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("soxr")

from tinyse.audio import pools
from tinyse.audio.corpora import read_manifest
from tinyse.audio.feed import Batches, Feed
from tinyse.audio.mixing import Mixer
from tinyse.errors import MissingExtra
from tinyse.recipe import Mixing

MIXING = Mixing(rooms=2)  # to draw the default's rooms takes far longer than to mix


@pytest.fixture
def decoded(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return pools.decode(read_manifest(tiny_corpus / "manifest.csv"))


def test_a_feed_that_starts_later_goes_on_where_the_other_was(decoded):
    mixer = Mixer(*decoded.load(), MIXING, 3, 20)
    with Feed(Batches(decoded, MIXING, 3, 2, 20, 0, 11)) as feed:
        whole = list(feed)
    with Feed(Batches(decoded, MIXING, 3, 2, 20, 9, 11)) as feed:
        rest = list(feed)
    assert len(whole) == 11 and len(rest) == 2
    for step, batch in [*enumerate(whole), *zip((9, 10), rest, strict=True)]:
        expected = mixer.batch(step, 2)
        for name, value in batch.items():
            np.testing.assert_array_equal(value, expected[name])


def test_what_the_process_cannot_do_is_raised_here(decoded, tmp_path, monkeypatch, capfd):
    stub = "raise ModuleNotFoundError(name='pyroomacoustics')"
    (tmp_path / "pyroomacoustics.py").write_text(stub)
    monkeypatch.syspath_prepend(tmp_path)
    batches, says = Batches(decoded, MIXING, 3, 8, 20, 0, 1), "pyroomacoustics is not installed; "
    with Feed(batches) as feed, pytest.raises(MissingExtra, match=says):
        next(iter(feed))
    assert capfd.readouterr().err == ""


def test_another_seed_gives_other_batches(decoded):
    first, second = (Mixer(*decoded.load(), MIXING, seed, 20).batch(0, 2) for seed in (1, 2))
    assert not np.array_equal(first["speech"], second["speech"])


def test_what_the_process_imports_holds_no_backend():
    script = "import sys, tinyse.audio.feed; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"keras", "tensorflow", "jax"} & set(done.stdout.split())
