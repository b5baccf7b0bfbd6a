"""Simulated rooms: reverberation times, determinism, and what a source sounds like there."""

import numpy as np
import pytest

pytest.importorskip("pyroomacoustics")

from tinyse.audio.rooms import SOURCES, draw_room


def decay_time_s(response: np.ndarray) -> float:
    """T60 from the slope of the energy decay curve between -5 and -25 dB (Schroeder 1965)."""
    energy = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    first, last = (int(np.argmax(level < db)) for db in (-5, -25))
    return 60 * (last - first) / 16000 / 20


def test_a_room_is_a_function_of_seed_and_index():
    one, again, other = (draw_room(5, k, (0.2, 0.6)) for k in (3, 3, 4))
    for a, b in zip(one.responses, again.responses, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.size_m == again.size_m != other.size_m


def test_responses_have_unit_energy_and_the_talker_stands_close():
    for index in range(12):
        room = draw_room(1, index, (0.15, 0.7))
        assert len(room.responses) == SOURCES
        assert 0.2 < room.talker_m < 2.6
        for response in room.responses:
            assert np.sum(response.astype(np.float64) ** 2) == pytest.approx(1, abs=1e-5)


def test_a_long_reverberation_time_decays_slowly():
    """Distant sources: close to the microphone the direct sound rules the decay."""
    short = np.mean([decay_time_s(draw_room(2, k, (0.2, 0.2)).responses[1]) for k in range(20)])
    long = np.mean([decay_time_s(draw_room(2, k, (0.7, 0.7)).responses[1]) for k in range(20)])
    assert 0.1 < short < 0.3
    assert 0.4 < long < 0.8


def test_an_impulse_is_heard_as_the_response():
    room = draw_room(3, 0, (0.3, 0.3))
    impulse = np.zeros(20_000, np.float32)
    impulse[0] = 1
    for source, response in enumerate(room.responses):
        heard = room.heard(impulse, source)
        assert len(heard) == len(impulse)
        np.testing.assert_allclose(heard[: len(response)], response, atol=1e-6)
