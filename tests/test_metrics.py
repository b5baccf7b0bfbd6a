"""The measures against their oracles, known answers, and what they refuse."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from tinyse import metrics
from tinyse.errors import InputError, MissingExtra
from tinyse.metrics import Reference, as_stored, paired_interval, sdr, si_sdr, snr
from tinyse.metrics.sdr import exact_sdr, projection_sdr

RATE = 16_000


def voice(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Coloured noise that comes and goes, as speech does."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    white = random.standard_normal(count + 64)
    colour = np.convolve(white, random.standard_normal(64) * 0.9 ** np.arange(64), "same")[:count]
    slow = 0.55 + 0.45 * np.sin(2 * np.pi * random.uniform(1, 4) * np.arange(count) / RATE)
    return as_stored(0.3 * slow * colour / np.abs(colour).max())


def noisy(clean: np.ndarray, snr_db: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(clean))
    scale = np.sqrt((clean @ clean) / (noise @ noise)) * 10 ** (-snr_db / 20)
    return as_stored(clean + scale * noise)


def by_mir_eval(clean: np.ndarray, estimate: np.ndarray) -> float:
    separation = pytest.importorskip("mir_eval.separation")
    with pytest.warns(FutureWarning):
        found = separation.bss_eval_sources(clean[None], estimate[None], compute_permutation=False)
    return float(found[0][0])


def cases():
    for seed in range(12):
        clean = voice(1 + 0.37 * seed, seed)
        yield f"snr {5 * seed - 15}", clean, noisy(clean, 5 * seed - 15, seed)
    clean = voice(1.5, 99)
    rough = noisy(clean, 12)
    yield "late by 256", clean, np.concatenate([np.zeros(256), rough[:-256]])
    yield "early by 3", clean, np.concatenate([rough[3:], np.zeros(3)])
    yield "scaled", clean, as_stored(0.03 * rough)
    yield "inverted", clean, -rough
    yield "filtered", clean, as_stored(np.convolve(rough, [0.5, 0.3, -0.2], "same"))
    yield "half silent", np.where(np.arange(len(clean)) < RATE // 2, 0, clean), rough
    yield "unrelated", clean, voice(1.5, 100)
    tone = as_stored(0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE))
    yield "tone", tone, noisy(tone, 10)


@pytest.mark.parametrize(("clean", "estimate"), [pytest.param(*c[1:], id=c[0]) for c in cases()])
def test_sdr_equals_mir_eval(clean, estimate) -> None:
    assert sdr(clean, estimate) == pytest.approx(by_mir_eval(clean, estimate), abs=1e-6)


def test_sdr_equals_mir_eval_on_real_speech(data_folder) -> None:
    from tinyse.audio.lists import read_list, render

    mixtures = read_list(data_folder / "mixtures_valid.csv")
    for row in mixtures.rows[40:320:40]:
        mixture = render(mixtures, row)
        clean, estimate = as_stored(mixture.target), as_stored(mixture.mixture)
        deviation = sdr(clean, estimate) - by_mir_eval(clean, estimate)
        assert abs(deviation) < 1e-6, row.id


def test_the_noisy_side_of_three_listed_mixtures(data_folder) -> None:
    """Guards the chain from list to samples to measure."""
    from tinyse.audio.lists import read_list, render

    mixtures = read_list(data_folder / "mixtures_valid.csv")
    rows = {row.id: row for row in mixtures.rows}
    for name, expected in NOISY_SDR.items():
        mixture = render(mixtures, rows[name])
        assert sdr(mixture.target, mixture.mixture) == pytest.approx(expected, abs=1e-6), name


NOISY_SDR = {"valid-0001": -4.952043920, "valid-0161": 5.021657429, "valid-0321": -9.961609775}


def test_a_band_limited_float_reference_takes_the_exact_steps() -> None:
    signal = pytest.importorskip("scipy.signal")
    low_pass = signal.firwin(801, 1500, fs=RATE, window=("kaiser", 20))
    white = np.random.default_rng(5).normal(0, 0.1, 20_000) * np.hanning(20_000)
    clean = signal.fftconvolve(white, low_pass, "same")
    estimate = clean + np.random.default_rng(6).normal(0, 0.01, len(clean))
    bare = projection_sdr(Reference.of_exactly(clean), estimate)
    assert bare == exact_sdr(clean, estimate)
    assert bare == pytest.approx(by_mir_eval(clean, estimate), abs=1e-6)
    # BSS-eval's own value moves with the scale; as a 16-bit file holds the sounds it does not.
    assert abs(bare - exact_sdr(1.1 * clean, 1.1 * estimate)) > 1
    assert sdr(clean, estimate) == pytest.approx(sdr(0.7 * clean, 0.7 * estimate), abs=0.05)


def test_a_near_copy_takes_the_exact_steps() -> None:
    clean = voice(2)
    estimate = clean + np.where(np.arange(len(clean)) % 4001 == 0, 1 / 32768, 0)
    assert sdr(clean, estimate) > 60
    assert sdr(clean, estimate) == pytest.approx(by_mir_eval(clean, estimate), abs=1e-6)


def test_a_prepared_reference_gives_the_same() -> None:
    clean = voice()
    reference = Reference.of(clean)
    for snr_db in (0, 10):
        estimate = noisy(clean, snr_db)
        assert sdr(reference, estimate) == sdr(clean, estimate)


def test_the_speed_against_mir_eval_is_printed(capsys) -> None:
    clean = voice(4)
    estimate = noisy(clean, 5)
    reference = Reference.of(clean)
    seconds = {"ours": [], "prepared": [], "mir_eval": []}
    for _ in range(5):
        for name, function in (
            ("ours", lambda: sdr(clean, estimate)),
            ("prepared", lambda: sdr(reference, estimate)),
            ("mir_eval", lambda: by_mir_eval(clean, estimate)),
        ):
            begin = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begin)
    ours, prepared, theirs = (np.median(values) for values in seconds.values())
    with capsys.disabled():
        print(f"\nSDR of 4 s: {theirs / ours:.1f}x mir_eval, {theirs / prepared:.1f}x prepared")


def test_an_exact_copy_is_capped() -> None:
    clean = voice()
    for measure in (sdr, si_sdr, snr):
        assert measure(clean, clean) == metrics.CAP_DB


def test_a_silent_estimate_is_minus_infinity() -> None:
    clean = voice()
    assert sdr(clean, np.zeros(len(clean))) == -math.inf
    assert si_sdr(clean, np.zeros(len(clean))) == -math.inf
    assert snr(clean, np.zeros(len(clean))) == pytest.approx(0)


def test_energy_ratios_have_the_values_that_theory_says() -> None:
    clean = voice(3)
    estimate = noisy(clean, 10)
    assert snr(clean, estimate) == pytest.approx(10, abs=0.02)
    assert si_sdr(clean, estimate) == pytest.approx(10, abs=0.1)
    # The scale costs SNR and nothing else.
    quiet = 0.5 * clean
    assert si_sdr(clean, quiet) > 60
    assert snr(clean, quiet) == pytest.approx(6.02, abs=0.01)
    assert si_sdr(clean, -estimate) == pytest.approx(si_sdr(clean, estimate))
    assert sdr(clean, estimate) >= si_sdr(clean, estimate)


@pytest.mark.parametrize("measure", [sdr, si_sdr, snr])
@pytest.mark.parametrize(
    ("reference", "estimate", "says"),
    [
        (np.zeros(RATE), voice(1), "reference: is silent"),
        (voice(1), voice(1.1), "expected 16000 samples as in the reference, got 17600"),
        (voice(1), np.full(RATE, np.nan), "estimate: holds NaN"),
        (np.full(RATE, np.inf), voice(1), "reference: holds NaN"),
        (voice(1)[:-1], voice(1)[:-1], "expected 16000 samples .1 s. or more, got 15999"),
        (voice(1)[None], voice(1), "expected one channel"),
    ],
    ids=["silent", "lengths", "nan", "infinite", "short", "channels"],
)
def test_what_cannot_be_scored_is_refused(measure, reference, estimate, says) -> None:
    with pytest.raises(InputError, match=says):
        measure(reference, estimate)


def test_estoi_and_its_guards() -> None:
    pytest.importorskip("pystoi")
    clean = voice(3)
    assert metrics.estoi(clean, clean) == pytest.approx(1, abs=1e-6)
    assert metrics.estoi(clean, noisy(clean, 20)) > metrics.estoi(clean, noisy(clean, -5))
    assert metrics.estoi(clean, np.zeros(len(clean))) is None
    burst = np.where(np.arange(len(clean)) < 1_600, clean, 0)  # 0.1 s of sound in 3 s
    assert metrics.estoi(burst, burst) is None


def test_pesq_and_its_guards() -> None:
    pytest.importorskip("pesq")
    clean = voice(3)
    assert metrics.pesq(clean, clean) == pytest.approx(4.64, abs=0.01)
    assert metrics.pesq(clean, np.zeros(len(clean))) is None


@pytest.mark.parametrize(("measure", "package"), [("estoi", "pystoi"), ("pesq", "pesq")])
def test_a_missing_package_names_its_extra(monkeypatch, measure, package) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match="pip install"):
        getattr(metrics, measure)(voice(1), voice(1))


def test_equal_differences_have_an_interval_of_no_width() -> None:
    found = paired_interval(np.full(60, 0.25), [f"s{n % 9}" for n in range(60)])
    assert (found.low, found.mean, found.high) == (0.25, 0.25, 0.25)
    assert found.groups == 9


def test_the_interval_is_the_same_for_any_order_and_names() -> None:
    random = np.random.default_rng(3)
    groups = random.integers(0, 12, 200)
    values = random.normal(0, 1, 200) + 0.2 * groups
    first = paired_interval(values, [f"a{g}" for g in groups])
    assert first == paired_interval(values, [f"a{g}" for g in groups])
    order, names = random.permutation(200), random.permutation(12)
    second = paired_interval(values[order], [f"b{names[g]}" for g in groups[order]])
    assert (second.low, second.high) == pytest.approx((first.low, first.high), abs=1e-12)
    assert first.low < first.mean < first.high


def test_the_interval_has_the_width_that_theory_says() -> None:
    random = np.random.default_rng(4)
    values = random.normal(2, 1, 400)
    found = paired_interval(values, [str(n) for n in range(400)])  # every row its own group
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    # Groups that agree within count as one: the interval of 4 groups is far wider.
    clustered = paired_interval(np.repeat([1.0, 2.0, 3.0, 4.0], 100), np.repeat(list("abcd"), 100))
    assert clustered.high - clustered.low > 1.5 and clustered.groups == 4


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0], []), ([1.0], ["a", "b"])])
def test_values_without_groups_are_refused(values, groups) -> None:
    with pytest.raises(InputError):
        paired_interval(values, groups)
