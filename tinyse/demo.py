"""The whole chain in one call, on the embedded corpus: export, run, enhance, measure, show.

Weights of a published model -> own writer -> `.tflite` -> TensorFlow Lite Micro, one frame a call
-> sound.  Neither TensorFlow nor Keras is needed, and no data set.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyse.audio.io import write_audio
from tinyse.audio.lists import Mixture, read_list
from tinyse.audio.synth import demo_mixture, make_corpus
from tinyse.bench import FRAME_MS
from tinyse.enhance import open_enhancer
from tinyse.enhance.enhancer import StreamEnhancer
from tinyse.errors import InputError
from tinyse.evaluate import evaluate
from tinyse.export import MANIFEST, export_model
from tinyse.features import HOP, RATE
from tinyse.files import packaged, read_json, write_json, write_text
from tinyse.metrics import sdr, si_sdr
from tinyse.report.content import demo_content
from tinyse.report.page import Example, demo_page

SCHEMA = 1
RESULT = "demo.json"
_MINUTES = 2.0  # of embedded corpus behind the page's table


@dataclass(frozen=True)
class Streamed:
    """A recording enhanced frame by frame, and what each frame took in milliseconds."""

    sound: NDArray[np.float64]
    frame_ms: NDArray[np.float64]


def demo(out: Path, model: str = "lstm_256_block4x4", seed: int = 1) -> dict[str, Any]:
    """Run the chain into the folder `out`; returns what `out/demo.json` holds.

    Writes model.tflite, manifest.json, noisy.wav, enhanced.wav, clean.wav, corpus/, demo.json and
    report.html, replacing what an earlier demo wrote.  Raises InputError, and writes nothing, for
    a folder that holds something else.
    """
    if not (packaged("models", model) / "weights.npz").exists():
        raise InputError("there is no such published model", model, "see the folder models/")
    if out.is_dir() and any(out.iterdir()) and not (out / RESULT).is_file():
        raise InputError(f"holds files and no {RESULT} of a demo", out, "name a new folder")
    corpus = make_corpus(out / "corpus", _MINUTES, seed, workers=2, force=True)  # it may refuse
    # Says from now on whose folder this is: a demo that was interrupted can be run again.
    write_json(out / RESULT, {"schema": SCHEMA, "model": model})
    file = export_model(packaged("models", model), out, force=True)
    manifest = read_json(out / MANIFEST)
    enhancer = open_enhancer(file, "tflm")
    mixture = demo_mixture(seed)
    streamed = stream(StreamEnhancer(enhancer), mixture.mixture)
    for name, sound in (
        ("noisy", mixture.mixture),
        ("enhanced", streamed.sound),
        ("clean", mixture.target),
    ):
        write_audio(out / f"{name}.wav", sound)
    quality = evaluate(file, read_list(corpus.root / "mixtures_test.csv"), "tflm")
    quality["model"] = model  # evaluate knows the file alone
    frame_ms = float(np.median(streamed.frame_ms))
    result = {
        "schema": SCHEMA,
        "model": model,
        "runtime": enhancer.runtime.info.version,
        "bytes": manifest["bytes"],
        "tflm_arena_bytes": enhancer.runtime.info.arena_bytes,
        "ms_per_frame": round(frame_ms, 4),
        "real_time": round(frame_ms / FRAME_MS, 4),
        "recording": {
            "seconds": round(len(mixture.mixture) / RATE, 2),
            "sdr_in": round(sdr(mixture.target, mixture.mixture), 3),
            "sdr_out": round(sdr(mixture.target, streamed.sound), 3),
            "si_sdr_in": round(si_sdr(mixture.target, mixture.mixture), 3),
            "si_sdr_out": round(si_sdr(mixture.target, streamed.sound), 3),
        },
        "embedded_list": {key: quality[key] for key in ("list", "quality")},
    }
    write_json(out / RESULT, result)
    write_text(out / "report.html", _page(result, quality, manifest, mixture, streamed.sound))
    return result


def stream(enhancer: StreamEnhancer, sound: NDArray) -> Streamed:
    """Enhance a sound [n] in blocks of 256, as a device hears it; n samples come back, aligned."""
    blocks = -(-len(sound) // HOP) + 1
    padded = np.zeros(blocks * HOP)
    padded[: len(sound)] = sound
    out, frame_ms = np.empty_like(padded), np.empty(blocks)
    for number, block in enumerate(padded.reshape(blocks, HOP)):
        begin = time.perf_counter()
        out[number * HOP : (number + 1) * HOP] = enhancer.block(block)
        frame_ms[number] = 1000 * (time.perf_counter() - begin)
    return Streamed(out[HOP : HOP + len(sound)], frame_ms)


def _page(
    result: dict[str, Any],
    quality: dict[str, Any],
    manifest: dict[str, Any],
    mixture: Mixture,
    enhanced: NDArray,
) -> str:
    recording = result["recording"]
    example = Example(
        "A synthetic voice in passing traffic, at 2 dB SNR",
        mixture.mixture,
        enhanced,
        mixture.target,
        recording["sdr_in"],
        recording["sdr_out"],
    )
    notes = (
        f"{result['ms_per_frame']:.2f} ms a frame on this machine, features and synthesis"
        f" included: {result['real_time']:.1%} of real time.",
        "The sounds are synthetic, made by the project itself; the network was trained on"
        " recordings and has never heard this voice.",
    )
    page = demo_content(
        quality, manifest, (example,), notes=notes, arena_bytes=result["tflm_arena_bytes"]
    )
    return demo_page(page)
