"""The speakers of the embedded corpus, and the pipe to the process that speaks for them.

A speaker is a voice variant of eSpeak NG (its formants, breath and pitch) with a language, a pitch,
a liveliness and a tempo.  No variant is in two splits, so neither is a timbre.  Left out are the
variants that are robots, whispers, jokes or almost without energy above 1 kHz.

A process is made for each speaker and takes its sentences in one order: eSpeak carries the phase of
its oscillators from one sentence to the next, so the samples depend on everything said before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tinyse.audio.corpora import Split
from tinyse.audio.io import RATE, resample
from tinyse.errors import MissingExtra, TinySEError

_VARIANTS: dict[Split, str] = {
    "train": "f1 m1 Andy m3 Alicia Michael Mike f3 boris m4 linda m6 m7 f5 m8 max Andrea norbert"
    " rob grandma robert RicishayMax shelby Gene travis anika john ian steph sandro Reed zac",
    "valid": "f2 m2 Alex Annie victor Denis aunty adam",
    "test": "f4 m5 Lee belinda pablo quincy grandpa Mario",
}
# language of the text -> eSpeak's name; several stand for accents of one language
_ACCENTS = (
    ("en", "en-us"), ("de", "de"), ("en", "en-gb-x-rp"), ("es", "es"), ("fr", "fr"),
    ("en", "en-gb-scotland"), ("it", "it"), ("nl", "nl"), ("es", "es-419"),
)  # fmt: skip
_PATIENCE = 30  # seconds for the process to end after its last request


class Speaker(msgspec.Struct, frozen=True):
    """One voice: `accent` and `variant` as eSpeak names them, pitch and range 0..99."""

    name: str
    split: Split
    language: str
    accent: str
    variant: str
    pitch: int
    range: int
    rate: int  # words a minute


def speakers(split: Split) -> tuple[Speaker, ...]:
    """The speakers of a split, always the same."""
    return tuple(_speaker(split, n, variant) for n, variant in enumerate(_VARIANTS[split].split()))


def _speaker(split: Split, n: int, variant: str) -> Speaker:
    language, accent = _ACCENTS[n % len(_ACCENTS)]
    return Speaker(
        name=f"{accent}-{variant}".lower(),
        split=split,
        language=language,
        accent=accent,
        variant=variant,
        # Strides coprime to the lengths walk through every value without a pattern.
        pitch=36 + 7 * n % 29,
        range=40 + 11 * n % 37,
        rate=145 + 13 * n % 47,
    )


class Voice:
    """A speaker's process; use it in a `with`, one sentence after another."""

    def __init__(self, speaker: Speaker) -> None:
        if importlib.util.find_spec("espeakng_loader") is None:
            raise MissingExtra("espeakng-loader", "synth")
        self._speaker = speaker
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe nobody would empty
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tinyse.audio.espeak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, map(_whole, sys.path)))},
        )

    def __enter__(self) -> Voice:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def say(self, text: str, pitch: int = 0, rate: int = 0) -> NDArray[np.float64]:
        """`text` as float64[n] at 16 kHz, with `pitch` and `rate` added to the speaker's own."""
        speaker = self._speaker
        request = {
            "voice": f"{speaker.accent}+{speaker.variant}",
            "text": text,
            "pitch": min(99, max(0, speaker.pitch + pitch)),
            "range": speaker.range,
            "rate": speaker.rate + rate,
        }
        header, data = self._exchange(json.dumps(request).encode() + b"\n")
        if "error" in header:
            raise TinySEError(header["error"], "eSpeak NG", "install the pinned espeakng-loader")
        return resample(np.frombuffer(data, "<i2") / 32768, header["rate"], RATE)

    def _exchange(self, line: bytes) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._pipes()
        try:
            stdin.write(line)
            stdin.flush()
            header = json.loads(stdout.readline())
            data = stdout.read(2 * header.get("samples", 0))
            if len(data) != 2 * header.get("samples", 0):
                raise EOFError("the samples end early")
            return header, data
        except (BrokenPipeError, EOFError, ValueError) as error:
            self._said.seek(0)
            last = self._said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise TinySEError(
                f"the synthesiser stopped ({''.join(last) or 'it said nothing'})",
                "python -m tinyse.audio.espeak",
                "install the pinned espeakng-loader",
            ) from error

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def _end(self) -> None:
        stdin, stdout = self._pipes()
        with contextlib.suppress(BrokenPipeError):  # what a dead process did not take
            stdin.close()
        stdout.close()
        self._said.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _whole(entry: str) -> str:
    """A folder of the module search path that means the same in another working folder."""
    return os.path.abspath(entry)
