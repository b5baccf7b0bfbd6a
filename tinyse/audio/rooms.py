"""Simulated rooms: what a microphone hears of a talker and of two other sources.

A room is a function of (seed, index).  Early reflections are those of a shoebox (image sources,
Allen and Berkley 1979, by pyroomacoustics); from the time at which images of the next order would
be missing, the response goes over into noise that decays with the reverberation time, high
frequencies faster (diffuse reverberation model, Lehmann and Johansson 2010).  That costs
milliseconds, where images alone would take seconds in a large hard room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import MissingExtra
from tinyse.features import RATE

Sample = TypeVar("Sample", np.float32, np.float64)
Place = NDArray[np.float64]  # [3], metres: across, along, up

SOURCES = 3  # the talker, and two places for noises
_SPEED_OF_SOUND = 343.0
_ORDER = 8
_LEAD = 20  # samples kept before the direct sound: its band-limited onset
_SMALLEST, _LARGEST = np.array([3.0, 2.6, 2.3]), np.array([9.0, 7.0, 3.6])
_TALKER_M = (0.25, 2.5)  # distance to the microphone
_FROM_WALL_M = 0.3
_NOISE_M = 1.0  # other sources are at least this far from the microphone
_CROSSOVER = 0.15  # one-pole smoothing that parts the tail: about 400 Hz
_DULL = 0.6  # reverberation time of the upper part, as a share
_AUDIBLE_DB = 45.0  # the tail is cut where it has fallen so far


@dataclass(frozen=True)
class Room:
    """Impulse responses of one room, each of unit energy.

    responses : float32 [n], one per source, the talker's first; lengths may differ
    size_m : length, width, height
    rt60_s : reverberation time
    talker_m : distance from the talker to the microphone
    """

    responses: tuple[NDArray[np.float32], ...]
    size_m: tuple[float, float, float]
    rt60_s: float
    talker_m: float

    def heard(self, sound: NDArray[Sample], source: int) -> NDArray[Sample]:
        """`sound` [n] from the place of `source`, reverberant, of the same length and type."""
        from scipy.fft import irfft, next_fast_len, rfft

        response = self.responses[source]
        n = next_fast_len(len(sound) + len(response) - 1, real=True)
        return irfft(rfft(sound, n) * rfft(response, n), n)[: len(sound)]


def draw_room(seed: int, index: int, rt60_s: tuple[float, float]) -> Room:
    """Room `index` of the stream `seed`; its reverberation time lies in the range `rt60_s`.

    Raises MissingExtra where pyroomacoustics is not installed.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, index]))
    size = random.uniform(_SMALLEST, _LARGEST)
    rt60 = float(random.uniform(*rt60_s))
    microphone = random.uniform(2 * _FROM_WALL_M, size - 2 * _FROM_WALL_M)
    places = [_talker(random, size, microphone)]
    places += [_away(random, size, microphone) for _ in range(SOURCES - 1)]
    early = _images(size, rt60, microphone, places)
    # Images of order n + 1 cannot arrive before they have crossed the room n times.
    complete_s = _ORDER * size.min() / _SPEED_OF_SOUND
    responses = tuple(_with_tail(random, response, complete_s, rt60) for response in early)
    talker_m = float(np.linalg.norm(places[0] - microphone))
    return Room(responses, tuple(size.tolist()), rt60, talker_m)


def _talker(random: np.random.Generator, size: Place, microphone: Place) -> Place:
    """A place at a conversational distance, inside the walls."""
    while True:
        distance = np.exp(random.uniform(*np.log(_TALKER_M)))
        direction = random.standard_normal(3) * [1, 1, 0.3]  # mouths are about as high as ears
        place = microphone + distance * direction / np.linalg.norm(direction)
        if np.all(place > _FROM_WALL_M) and np.all(place < size - _FROM_WALL_M):
            return place


def _away(random: np.random.Generator, size: Place, microphone: Place) -> Place:
    while True:
        place = random.uniform(_FROM_WALL_M, size - _FROM_WALL_M)
        if np.linalg.norm(place - microphone) > _NOISE_M:
            return place


def _images(
    size: Place, rt60: float, microphone: Place, places: list[Place]
) -> list[NDArray[np.float64]]:
    """Image-source responses of every place, the direct sound at sample `_LEAD`."""
    try:
        import pyroomacoustics
    except ModuleNotFoundError as error:
        raise MissingExtra("pyroomacoustics", "rooms") from error
    # Eyring's absorption for the wanted time, within what walls can do.
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    absorption = 1 - np.exp(-0.161 * size.prod() / (surface * rt60))
    room = pyroomacoustics.ShoeBox(
        size,
        fs=RATE,
        materials=pyroomacoustics.Material(float(np.clip(absorption, 0.02, 0.95))),
        max_order=_ORDER,
    )
    for place in places:
        room.add_source(place)
    room.add_microphone(microphone)
    room.compute_rir()
    found = []
    for place, response in zip(places, room.rir[0], strict=True):
        direct = pyroomacoustics.constants.get("frac_delay_length") // 2
        direct += round(float(np.linalg.norm(place - microphone)) / _SPEED_OF_SOUND * RATE)
        found.append(np.asarray(response[max(direct - _LEAD, 0) :], np.float64))
    return found


def _with_tail(
    random: np.random.Generator, early: NDArray[np.float64], complete_s: float, rt60: float
) -> NDArray[np.float32]:
    from scipy.signal import lfilter

    length = int(RATE * max(rt60 * _AUDIBLE_DB / 60, complete_s))
    seconds = np.arange(length) / RATE
    noise = random.standard_normal(length)
    low = lfilter([_CROSSOVER], [1, _CROSSOVER - 1], noise)
    decay = 10 ** (-3 * seconds / rt60)
    tail = low * decay + (noise - low) * decay ** (1 / _DULL)
    response = np.zeros(length)
    response[: len(early)] = early[:length]
    # Where both are there, the tail takes the level of the images.
    first, last = int(0.5 * complete_s * RATE), int(complete_s * RATE)
    level = np.sqrt(np.mean(response[first:last] ** 2) / np.mean(tail[first:last] ** 2))
    fade = np.clip((np.arange(length) - first) / (last - first), 0, 1) * np.pi / 2
    response = np.cos(fade) * response + np.sin(fade) * level * tail
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)
