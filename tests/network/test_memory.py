"""What a step frees stays with the process: taking it again makes no page fault."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import threading

import numpy as np

from tinyse.network.memory import keep_freed_memory

keep_freed_memory()
found = []

def taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(10_000_000)
    found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

for _ in range(2):
    taken()
    thread = threading.Thread(target=taken)
    thread.start()
    thread.join()
print(*found)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told")
def test_freed_memory_is_taken_again_without_page_faults():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    first, *later = map(int, done.stdout.split())
    assert first > 100 > max(later)
