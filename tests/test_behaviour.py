"""What a user would hear: every figure on networks whose behaviour is known."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from tests.network_maker import float_weights
from tinyse.audio.lists import read_list
from tinyse.behaviour import as_text, behaviour, hour
from tinyse.behaviour.rows import LEVELS_DBFS
from tinyse.behaviour.verdicts import BOUNDS, verdicts_of
from tinyse.cli import main
from tinyse.enhance import Enhancer, find_model, models
from tinyse.errors import InputError
from tinyse.export import export_model
from tinyse.features import Normalisation


@pytest.fixture(scope="module")
def found(small_model, tiny_corpus) -> dict:
    return behaviour(small_model, tiny_corpus / "mixtures_test.csv", "oracle", minutes=2, workers=1)


class Gate:
    """A float runtime of a known gain; it may start deaf, or tell loud features from quiet ones."""

    name = "gate"

    class info:
        input = output = None
        version = "gate 1"

    def __init__(self, gain: float, deaf_frames: int = 0, loud_only: bool = False) -> None:
        self.gain, self.deaf_frames, self.loud_only = gain, deaf_frames, loud_only
        self.reset()

    def reset(self) -> None:
        self.heard = 0

    def run(self, frames):
        masks = np.full(frames.shape, self.gain, np.float32)
        masks[: max(0, self.deaf_frames - self.heard)] = 1.0  # lets the noise through at first
        if self.loud_only:
            masks[frames.mean(axis=1) < 0] *= 0.5
        self.heard += len(frames)
        return masks


@pytest.fixture
def gate(monkeypatch, small_model, tiny_corpus):
    """Behaviour of a `Gate` on the tiny list; the hour is left to the file itself."""

    mixtures = read_list(tiny_corpus / "mixtures_test.csv")

    def measured(*arguments, rows: slice = slice(None), **options) -> dict:
        chosen = mixtures.rows[rows]
        listed = type(mixtures)(mixtures.name, mixtures.sha256, mixtures.root, chosen)
        models.open_source.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(models, "open_runtime", lambda name, path: Gate(*arguments, **options))
            patch.setattr("tinyse.behaviour.hour_of", lambda *_: {"minutes": 60} | hour_figures())
            result = behaviour(small_model, listed, workers=1)
        models.open_source.cache_clear()
        return result

    return measured


def hour_figures() -> dict:
    return {"drift_db": 0.0, "cell_growth": 1.0}


def test_the_document_has_every_part_and_can_be_written(found, tiny_corpus) -> None:
    json.dumps(found, allow_nan=False)
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    assert found["list"] == {"name": mixtures.name, "sha256": mixtures.sha256}
    assert found["runtime"] == "oracle"
    for part in ("clean", "silence", "noise", "level", "start", "hour"):
        assert part in found
    assert found["clean"]["rows"] == 1 and found["clean"]["worst_speaker"] == "test-a"
    assert found["noise"]["rows"] == found["level"]["rows"] == found["start"]["rows"] == 4
    assert found["level"]["input_peak_dbfs"] == list(LEVELS_DBFS)
    assert len(found["verdicts"]) == len(BOUNDS)


def test_what_lets_everything_through_harms_nothing_and_cleans_nothing(gate) -> None:
    found = gate(1.0)
    assert found["clean"]["si_sdr_mean_db"] == 100
    assert found["silence"]["largest_steps"] == 0
    assert found["noise"]["attenuation_db"] == pytest.approx(0, abs=1e-3)
    assert found["level"]["si_sdr_gain_spread_db"] == pytest.approx(0, abs=1e-3)
    assert found["start"]["start_below_rest_db"] == pytest.approx(0, abs=1e-3)
    holds = {verdict["what"]: verdict["holds"] for verdict in found["verdicts"]}
    assert not holds["noise alone: attenuation"] and holds["clean speech: median"]


def test_a_constant_gain_is_what_noise_and_level_say(gate) -> None:
    found = gate(0.1)
    assert found["noise"]["attenuation_db"] == pytest.approx(20, abs=0.05)
    assert found["level"]["output_over_input_db"] == pytest.approx([-20] * 6, abs=0.05)
    assert found["level"]["output_over_input_spread_db"] < 0.05


def test_a_network_that_starts_deaf_has_a_bad_first_half_second(gate) -> None:
    noisiest = slice(0, 1)  # at -5 dB a gain of a half takes more noise away than speech
    late = gate(0.5, deaf_frames=32, rows=noisiest)["start"]
    prompt = gate(0.5, rows=noisiest)["start"]
    assert late["start_snr_gain_db"] == pytest.approx(0, abs=0.3)
    assert late["rest_snr_gain_db"] == pytest.approx(prompt["rest_snr_gain_db"], abs=0.1)
    assert late["start_below_rest_db"] == pytest.approx(late["rest_snr_gain_db"], abs=0.3)
    assert late["start_below_rest_db"] > 1.5 + prompt["start_below_rest_db"]


def test_a_network_that_depends_on_the_level_is_seen(gate) -> None:
    assert gate(0.9, loud_only=True)["level"]["output_over_input_spread_db"] > 1


def test_a_list_without_clean_rows_gives_its_clean_sides(small_model, tiny_corpus) -> None:
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    noisy = type(mixtures)(mixtures.name, mixtures.sha256, mixtures.root, mixtures.rows[:4])
    found = behaviour(small_model, noisy, "oracle", limit=2, minutes=2, workers=1)
    assert found["clean"]["rows"] == 2 and found["noise"]["rows"] == 2


def test_two_processes_give_what_one_gives(found, small_model, tiny_corpus) -> None:
    listed = tiny_corpus / "mixtures_test.csv"
    two = behaviour(small_model, listed, "oracle", minutes=2, workers=2)
    for part in ("clean", "noise", "level", "start"):
        for key, value in found[part].items():
            assert two[part][key] == (value if isinstance(value, str) else pytest.approx(value))


class Growing:
    """A runtime whose states and gain grow from frame to frame, or that has no memory."""

    name = "growing"
    info = Gate.info

    def __init__(self, step: float) -> None:
        self.step = step
        self.reset()

    def reset(self) -> None:
        self.cell = 10.0

    def run(self, frames):
        self.cell += self.step * len(frames)
        return np.full(frames.shape, min(self.cell / 10_000, 1.0), np.float32)

    def states(self):
        return {"c_lstm": np.array([self.cell], np.int16), "h_lstm": np.zeros(1, np.int8)}


@pytest.fixture
def runs_for_an_hour(monkeypatch, small_model, tiny_corpus):
    def run(step: float, minutes: int) -> dict:
        unit = Normalisation(np.zeros(128, np.float32), np.ones(128, np.float32))
        monkeypatch.setattr(hour, "_fastest", lambda files: Enhancer(Growing(step), unit))
        mixtures = read_list(tiny_corpus / "mixtures_test.csv")
        return hour.hour_of(find_model(small_model), mixtures, mixtures.rows[:2], minutes)

    return run


def test_a_state_that_grows_is_a_drift(runs_for_an_hour) -> None:
    found = runs_for_an_hour(0.1, 4)
    assert found["minutes_run"] == 4 and found["repeats_from_minute"] is None
    assert found["drift_db"] > 1 and found["cell_growth"] > 1.5
    assert not any(verdict["holds"] for verdict in verdicts_of({"hour": found}))


def test_the_hour_ends_where_it_begins_to_repeat_itself(runs_for_an_hour) -> None:
    found = runs_for_an_hour(0, 60)
    assert found["minutes_run"] == 2 and found["repeats_from_minute"] == 2
    assert (found["drift_db"], found["cell_growth"]) == (0, 1)


def test_the_hour_runs_on_the_exact_file(found) -> None:
    assert found["hour"]["runtime"] in ("native", "oracle")
    assert found["hour"]["minutes_run"] == 2


@pytest.mark.parametrize("kind", [{"lstm": (8,)}, {"lstm": (), "gru": (8,)}], ids=str)
def test_a_file_that_the_c_kernels_do_not_take_is_heard_on_the_oracle(tmp_path, kind) -> None:
    np.savez(tmp_path / "weights.npz", **float_weights(dense=(), **kind))
    export_model(tmp_path, tmp_path, "step16x8")
    enhancer = hour._fastest(find_model(tmp_path))
    assert enhancer.runtime.name == "oracle"
    spectrum = np.random.default_rng(4).normal(0, 1, (9, 257)) + 0j
    _, states, _ = hour._play(enhancer, spectrum)
    assert 0 < states <= 32767


def test_what_cannot_be_heard_is_said_before_anything_is_scored(
    tmp_path, small_model, tiny_corpus, monkeypatch
) -> None:
    """The float network could be scored, but the hour runs the file, which is of other weights."""
    shutil.copytree(small_model, tmp_path / "run")
    np.savez(tmp_path / "run" / "weights.npz", **float_weights((8,), ()))
    monkeypatch.setattr("tinyse.evaluate.evaluate", None)
    words = ["evaluate", tmp_path / "run", "--list", tiny_corpus / "mixtures_test.csv"]
    words += ["--runtime", "keras_model", "--behaviour"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2 and "was exported from other weights" in done.stderr


def test_the_minute_joins_itself_without_a_seam(tiny_corpus) -> None:
    mixtures = read_list(tiny_corpus / "mixtures_test.csv")
    spectrum = hour._minute(mixtures, mixtures.rows)
    assert spectrum.shape == (3750, 257)


def test_the_table_names_what_does_not_hold(gate) -> None:
    text = as_text(gate(1.0))
    assert "DOES NOT HOLD" in text and "at least 15" in text and "worst speaker is test-a" in text
    assert text.count("holds") >= 5


def test_the_command_adds_the_table_or_the_object(small_model, tiny_corpus, monkeypatch) -> None:
    words = ["evaluate", small_model, "--list", tiny_corpus / "mixtures_test.csv", "--runtime",
             "oracle", "--behaviour", "--limit", 2, "--workers", 1]  # fmt: skip
    hour_is = {"minutes": 60} | hour_figures()
    monkeypatch.setattr("tinyse.behaviour.hour_of", lambda *_: hour_is)
    runner = CliRunner(env={"TINYSE_DATA": None})
    table = runner.invoke(main, [str(word) for word in words])
    assert table.exit_code == 0, table.output
    assert "60 minutes without reset" in table.stdout and "small on oracle" in table.stdout
    document = json.loads(runner.invoke(main, [str(w) for w in (*words, "--json")]).stdout)
    assert document["behaviour"]["noise"]["rows"] == 2 and "quality" in document


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"minutes": 1}])
def test_numbers_out_of_range_are_refused(wrong, small_model, tiny_corpus) -> None:
    with pytest.raises(InputError, match="expected 1 row and 2 minutes"):
        behaviour(small_model, tiny_corpus / "mixtures_test.csv", "oracle", **wrong)
