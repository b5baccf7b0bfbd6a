"""What a run says while it goes: to its caller, to TensorBoard, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinyse.training.checkpoint import Progress

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


@dataclass(frozen=True)
class Told:
    """What a caller hears after every step."""

    step: int
    steps: int
    loss: float
    epoch_loss: float
    best: float
    frames_per_s: float


@dataclass(frozen=True)
class Prepared:
    """What a caller hears before the first step: of `what`, so many of `parts` are done."""

    what: str
    done: int
    parts: int


Tell = Callable[[Told | Prepared], None]


def preparing(tell: Tell, what: str) -> Callable[[int, int], None]:
    """A function to call with (done, parts)."""
    return lambda done, parts: tell(Prepared(what, done, parts))


class Clock:
    """Frames per second of training alone: neither compilation nor validation counts."""

    def __init__(self, frames_per_step: int) -> None:
        self._begin: float | None = None
        self._frames, self._waited = frames_per_step, 0.0
        self._steps, self._seconds = 0, 0.0

    def restart(self) -> None:
        self._begin = time.perf_counter()

    def step(self, waited_s: float, progress: Progress) -> None:
        now = time.perf_counter()
        if self._begin is not None:
            self._steps += 1
            self._seconds += now - self._begin
            progress.seconds += now - self._begin
            progress.waited_s += waited_s - self._waited
        self._begin, self._waited = now, waited_s

    @property
    def frames_per_s(self) -> float:
        return self._steps * self._frames / self._seconds if self._seconds else 0.0


def pace(frames: int, progress: Progress) -> dict[str, float]:
    """What `run.json` says of the time that `frames` took; 0 frames/s where none was measured.

    A run of one step is all compilation.
    """
    seconds = progress.seconds
    return {
        "seconds": round(seconds, 1),
        "frames_per_s": round(frames / seconds) if seconds else 0,
        "waiting_share": round(progress.waited_s / seconds, 4) if seconds else 0.0,
    }


def event_files(run: Path) -> SummaryWriter:
    """The writer of TensorBoard's files, a context manager."""
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(run / "events"))
