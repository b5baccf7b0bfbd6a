"""How often exported keyword spotters are right: `score.py test.npz MODEL.tflite ..`.

Each file is run frame by frame by the oracle, as a device would run it.  A word counts as heard
when its output passes one half in two frames in a row.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinyse.runtimes import open_runtime
from tinyse.runtimes.interface import Runtime

THRESHOLD = 0.5


def heard(runtime: Runtime, frames: NDArray) -> int:
    """The word that a clip's frames [T, n] hold, -1 for none."""
    runtime.reset()
    said = runtime.run(runtime.info.input.quantise(frames))
    sure = runtime.info.output.dequantise(said)
    both = np.minimum(sure[1:], sure[:-1]).max(axis=0)
    return int(both.argmax()) if both.max() > THRESHOLD else -1


def main(test: Path, files: list[Path]) -> None:
    """One line a file: bytes, words found, false alarms."""
    with np.load(test) as data:
        frames, words = data["frames"], data["words"]
    for file in files:
        runtime = open_runtime("oracle", file)
        found = np.array([heard(runtime, clip) for clip in frames])
        spoken = words >= 0
        right = (found == words)[spoken].mean()
        alarms = (found >= 0)[~spoken].mean()
        print(
            f"{file}: {file.stat().st_size} bytes, {right:.1%} of {spoken.sum()} words found,"
            f" {alarms:.1%} of {(~spoken).sum()} other clips taken for one"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
