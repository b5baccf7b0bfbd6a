"""Training mixtures: what a row depends on, and what is drawn how often."""

import msgspec
import numpy as np
import pytest

pytest.importorskip("soxr")

from tinyse.audio.mixing import Mixer, Pool
from tinyse.recipe import Mixing


def pool(lengths: list[list[int]]) -> Pool:
    """Groups of intervals; every sample holds 1,000 times its group's number, plus one thousand."""
    flat = [(group, n) for group, members in enumerate(lengths) for n in members]
    ends = np.cumsum([n for _, n in flat])
    samples = np.concatenate([np.full(n, 1000 * (group + 1), np.int16) for group, n in flat])
    return Pool(samples, ends - [n for _, n in flat], ends, np.array([group for group, _ in flat]))


PLAIN = Mixing(
    speed_share=0, second_noise_share=0, babble_share=0, talker_share=0, room_share=0,
    tone_share=0, transient_share=0, rumble_share=0, wandering_share=0, pause_share=0,
    noise_only_share=0, microphone_db=0,
)  # fmt: skip


def plain(**keys) -> Mixing:
    return msgspec.structs.replace(PLAIN, **keys)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    pools = pool([[9000, 30000], [50000]]), pool([[20000], [70000]])
    mixer = Mixer(*pools, Mixing(rooms=4), 5, 30)
    small, large = mixer.batch(7, 2), mixer.batch(7, 4)
    for name, value in small.items():
        np.testing.assert_array_equal(value, large[name][:2])
        assert value.dtype == np.float32


def test_short_intervals_of_one_group_are_joined_to_the_asked_length():
    mixer = Mixer(pool([[3000, 2000]]), pool([[1500]]), PLAIN, 1, 60)
    batch = mixer.batch(0, 3)
    assert batch["speech"].shape == (3, 61 * 256)
    assert np.all(batch["speech"] == np.float32(1000 / 32768))


def test_groups_are_drawn_by_the_square_root_of_their_length():
    mixer = Mixer(pool([[20_000], [20_000 * 9]]), pool([[30_000]]), PLAIN, 1, 8)
    drawn = mixer.batch(0, 2000)["speech"][:, 0]
    assert np.mean(drawn > 1500 / 32768) == pytest.approx(0.75, abs=0.04)


def test_levels_snrs_and_equalisers_stay_in_their_ranges():
    mixing = plain(snr_db=(-3, 4), high_snr_share=0.25, high_snr_db=(20, 30), equaliser_db=6)
    batch = Mixer(pool([[40_000]]), pool([[40_000]]), mixing, 1, 8).batch(0, 800)
    high = batch["snr_db"] > 10
    assert np.mean(high) == pytest.approx(0.25, abs=0.05)
    assert batch["snr_db"][~high].min() >= -3 and batch["snr_db"][~high].max() <= 4
    levels = batch["level_dbfs"]
    assert -66 <= levels.min() < -60 and -14 < levels.max() <= -12
    bound = 6 * (1 + 1 / 2 + 1 / 3 + 1 / 4)
    assert np.abs(20 * np.log10(batch["equaliser"])).max() <= bound


def test_changed_speed_babble_and_second_noises_keep_the_shape():
    mixing = plain(speed_share=1, second_noise_share=1, babble_share=0.5)
    batch = Mixer(pool([[40_000], [50_000]]), pool([[40_000]]), mixing, 1, 30).batch(0, 8)
    assert batch["speech"].shape == batch["noise"].shape == (8, 31 * 256)
    assert np.isfinite(batch["noise"]).all()


def test_rooms_reverberate_the_speech_that_is_the_reference():
    pytest.importorskip("pyroomacoustics")
    click = Pool(np.zeros(40_000, np.int16), *np.array([[0], [40_000], [0]]))
    click.samples[20_000] = 32000  # the cut may begin anywhere before it
    noise = pool([[40_000]])
    dry = Mixer(click, noise, PLAIN, 1, 60).batch(0, 40)["speech"]
    wet = Mixer(click, noise, plain(room_share=1, rooms=3), 1, 60).batch(0, 40)["speech"]
    assert max(np.count_nonzero(row) for row in dry) == 1
    assert max(np.count_nonzero(np.abs(row) > 1e-6) for row in wet) > 500


def test_a_row_of_noise_alone_has_no_speech():
    mixing = plain(noise_only_share=1)
    batch = Mixer(pool([[40_000]]), pool([[40_000]]), mixing, 1, 30).batch(0, 4)
    assert not batch["speech"].any() and batch["noise"].any()


def test_a_pause_silences_a_stretch_and_nothing_else():
    mixing = plain(pause_share=1)
    speech = Mixer(pool([[90_000]]), pool([[90_000]]), mixing, 1, 200).batch(0, 20)["speech"]
    silent = np.mean(speech == 0, axis=1)
    assert np.all(silent < 2.05 * 16000 / speech.shape[1]) and np.mean(silent > 0.1) > 0.5


def test_other_talkers_are_weaker_than_the_wanted_one():
    mixing = plain(talker_share=1, talker_snr_db=(3, 9))
    batch = Mixer(pool([[40_000], [50_000]]), pool([[40_000]]), mixing, 1, 30).batch(0, 50)
    assert batch["snr_db"].min() >= 3 and batch["snr_db"].max() <= 9


@pytest.mark.parametrize("share", ["talker_share", "babble_share"])
def test_nobody_talks_over_himself(share):
    speech = pool([[40_000], [50_000]])
    speech.samples[40_000:] *= -1
    batch = Mixer(speech, pool([[40_000]]), plain(**{share: 1}), 1, 30).batch(0, 40)
    signs = np.sign(batch["speech"][:, 0])
    assert set(signs) == {-1, 1}
    assert np.all(signs * batch["noise"][:, 0] <= 0)


def test_where_there_is_one_voice_nobody_else_talks():
    mixing = plain(talker_share=1, babble_share=1)
    batch = Mixer(pool([[40_000]]), pool([[40_000]]), mixing, 1, 30).batch(0, 4)
    np.testing.assert_array_equal(batch["noise"], np.float32(1000 / 32768))


def test_the_microphone_colours_speech_and_noise_alike():
    mixing = plain(equaliser_db=0, microphone_db=6)
    gains = Mixer(pool([[40_000]]), pool([[40_000]]), mixing, 1, 8).batch(0, 4)["equaliser"]
    np.testing.assert_array_equal(gains[:, 0], gains[:, 1])
    assert np.ptp(gains) > 0.1
