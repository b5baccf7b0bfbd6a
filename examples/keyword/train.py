"""A keyword spotter in Keras, on spoken words made here: `train.py FOLDER`.

Nothing of the network is tinyse's: an LSTM of 48 units over 32 bands, four outputs, trained by
`model.fit`.  The words are said by the voices of the embedded corpus (extra `synth`), those of the
test by voices that training never hears, half of all clips hold no keyword, and all lie in noise.

Writes into the folder: model.keras, weights.npz (what tinyse compresses and exports) and test.npz
(frames [clips, T, 32] and the word of each clip, -1 for none).
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from tinyse.audio.corpora import Split
from tinyse.audio.noises import levelled
from tinyse.audio.sentences import sentence
from tinyse.audio.voices import RATE, Speaker, Voice, speakers
from tinyse.features import band_levels, stft
from tinyse.network.import_keras import from_keras

WORDS = ("computer", "lantern", "seventeen", "goodbye")
BANDS = 32
SECONDS = 1.6  # of a clip; the word begins in its first 0.4 s
TAKES = 4  # of each word by each training voice
HEARD = 10  # frames (160 ms) after the end of a word in which the network shall say so


def clips(speaker: Speaker, takes: int, seed: int) -> list[tuple[NDArray, int, int]]:
    """Sound [SECONDS], word or -1, and frame of the word's end, as many of none as of all words."""
    random = np.random.default_rng(seed)
    made = []
    with Voice(speaker) as voice:
        for take in range(takes):
            for word, text in enumerate(WORDS):
                made.append(clip(random, voice.say(text, rate=10 * take - 20), word))
                made.append(clip(random, voice.say(sentence(random, "en")), -1))
    return made


def clip(random: np.random.Generator, said: NDArray, word: int) -> tuple[NDArray, int, int]:
    """`said` at a place of its own in noise of 15 to 30 dB less."""
    loud = np.flatnonzero(np.abs(said) > 0.02 * np.abs(said).max())
    said = said[loud[0] : loud[-1] + 1]
    sound = np.zeros(int(SECONDS * RATE))
    start = int(random.uniform(0, 0.4) * RATE)
    said = said[: len(sound) - start]
    sound[start : start + len(said)] = levelled(said, random.uniform(-30, -20))
    sound += levelled(random.standard_normal(len(sound)), random.uniform(-60, -45))
    return sound, word, (start + len(said)) // 256


def bands(sound: NDArray) -> NDArray[np.float64]:
    """The front end of tinyse, 128 bands in dB, averaged to 32: [T, 32]."""
    levels = band_levels(stft(sound))
    return levels.reshape(len(levels), BANDS, -1).mean(axis=2)


def data(split: Split, takes: int) -> tuple[NDArray, NDArray, NDArray]:
    """Frames [clips, T, 32] in dB, targets [clips, T, words], word of each clip."""
    made = [c for n, who in enumerate(speakers(split)) for c in clips(who, takes, n)]
    frames = np.stack([bands(sound) for sound, _, _ in made])
    targets = np.zeros((*frames.shape[:2], len(WORDS)), np.float32)
    for row, (_, word, end) in enumerate(made):
        if word >= 0:
            targets[row, end : end + HEARD, word] = 1
    return frames, targets, np.array([word for _, word, _ in made])


def network() -> keras.Model:
    """Anything of LSTM, GRU and Dense in a chain would do."""
    return keras.Sequential(
        [
            keras.Input((None, BANDS)),
            keras.layers.LSTM(48, return_sequences=True),
            keras.layers.Dense(24, "relu"),
            keras.layers.Dense(len(WORDS), "sigmoid"),
        ]
    )


def main(folder: Path, takes: int = TAKES, epochs: int = 30) -> None:
    """Make the words, train, and write what the commands of README.md take."""
    keras.utils.set_random_seed(1)
    frames, targets, _ = data("train", takes)
    mean, std = frames.mean((0, 1)), frames.std((0, 1))
    normal = np.clip((frames - mean) / std, -4, 4)
    model = network()
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
    model.fit(normal, targets, batch_size=32, epochs=epochs, verbose=2)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    some = normal[:: len(normal) // 100 or 1].reshape(-1, BANDS)  # ranges are measured on these
    np.savez(folder / "weights.npz", **from_keras(model, some, mean, std))
    frames, _, words = data("test", takes=1)
    normal = np.clip((frames - mean) / std, -4, 4).astype(np.float32)
    np.savez(folder / "test.npz", frames=normal, words=words)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
