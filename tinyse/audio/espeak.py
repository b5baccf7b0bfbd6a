"""The speech synthesiser's own process: requests in on stdin, samples out on stdout.

    python -m tinyse.audio.espeak

eSpeak NG is under the GPL, version 3: it is loaded here and nowhere else, and this process talks
with the rest through pipes alone.  A request is one line of JSON,

    {"voice": "en-us+f3", "text": "...", "pitch": 50, "range": 50, "rate": 170}

(pitch and range 0..99, rate in words a minute), the answer one line of JSON,

    {"samples": 31337, "rate": 22050}      followed by that many little-endian int16
    {"error": "there is no voice 'xx'"}

The constants are those of eSpeak NG 1.52, `speak_lib.h`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: espeak_Synth returns when the callback has had all samples
_DONT_EXIT = 0x8000
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_HALF_VOLUME = 50  # at 100, its default, some voices clip
_UTF8 = 1
_BUFFER_MS = 2000

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The shared library, with the samples that its callback delivers."""

    def __init__(self) -> None:
        import espeakng_loader

        # The library keeps the path of its voices in 160 bytes: make it a short one.
        os.chdir(Path(espeakng_loader.get_data_path()).parent)
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, b".", _DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError("eSpeak NG does not start")
        self._samples = bytearray()
        self._callback = _Callback(self._collect)  # kept: the library calls it later
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, request: dict[str, Any]) -> bytes:
        """The samples of one request, int16 in the machine's order."""
        self._samples.clear()
        # Breath and plosives are drawn from rand(): the same request gives the same samples.
        self._library.espeak_ng_SetRandSeed(1)
        voice = request["voice"]
        # The library passes over a variant that is not there and speaks with the plain voice.
        variant = Path("espeak-ng-data", "voices", "!v", voice.partition("+")[2])
        if not variant.is_file() or self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise LookupError(f"there is no voice {voice!r}")
        for parameter, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
            self._library.espeak_SetParameter(parameter, int(request[name]), 0)
        self._library.espeak_SetParameter(_VOLUME, _HALF_VOLUME, 0)
        text = request["text"].encode() + b"\0"
        self._library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, _UTF8, None, None)
        return bytes(self._samples)

    def _collect(self, wave: Any, count: int, _events: Any) -> int:
        if wave and count > 0:
            self._samples += ctypes.string_at(wave, 2 * count)
        return 0


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each line of `requests` until there are no more."""
    espeak = Espeak()
    for line in requests:
        try:
            samples = espeak.say(json.loads(line))
        except LookupError as error:
            header: dict[str, object] = {"error": str(error)}
            samples = b""
        else:
            header = {"samples": len(samples) // 2, "rate": espeak.rate}
        answers.write(json.dumps(header).encode() + b"\n" + samples)
        answers.flush()


if __name__ == "__main__":
    # What the library prints must not land among the samples.
    answers_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers_to)
