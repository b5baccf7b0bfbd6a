"""Damaged files: the reader only ever answers with InputError, and what passes can be run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.run_damaged import damaged, whole
from tests.tflite.edited import valid_file
from tinyse.errors import InputError
from tinyse.tflite.check import check_bytes

ROOT = Path(__file__).resolve().parents[2]


PROFILES = ("fused", "step16x8", "step8")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("part", range(4))
def test_flipped_bytes_end_in_input_errors(part, profile):
    for seed in range(500 * part, 500 * (part + 1)):
        with contextlib.suppress(InputError):
            check_bytes(damaged(seed, profile))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_truncation_is_refused(profile):
    data = whole(profile)
    for length in range(0, len(data), 7):
        with pytest.raises(InputError):
            check_bytes(data[:length])


@pytest.mark.parametrize("profile", PROFILES)
def test_zeroed_words_are_survived(profile):
    data = whole(profile)
    for start in range(0, len(data), 12 * -(-len(data) // 12_000)):
        with contextlib.suppress(InputError):
            check_bytes(data[:start] + bytes(4) + data[start + 4 :])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_behind_the_identifier(tail):
    with pytest.raises(InputError):
        check_bytes(b"\x18\0\0\0TFL3" + tail)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_offset_anywhere(data):
    """Offsets are what turns damage into reading elsewhere: plant one in an aligned word."""
    valid = valid_file()
    start = 4 * data.draw(st.integers(0, len(valid) // 4 - 1))
    offset = data.draw(st.sampled_from([0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, len(valid)]))
    with contextlib.suppress(InputError):
        check_bytes(valid[:start] + offset.to_bytes(4, "little") + valid[start + 4 :])


@pytest.mark.parametrize("profile", PROFILES)
def test_what_passes_the_checks_can_be_run(profile):
    pytest.importorskip("tflite_micro")
    command = [sys.executable, "-m", "tests.fuzz.run_damaged", "10000", "200", profile]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    last = done.stdout.splitlines()[-1] if done.stdout else "nothing"
    print(last)
    assert done.returncode == 0, f"exit {done.returncode} after seed {last}: {done.stderr[-1500:]}"
