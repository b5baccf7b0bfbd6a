"""What a page's messages are answered with, without a network."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyse.enhance import open_enhancer
from tinyse.enhance.pcm import FRAME_BYTES, bytes_of, samples_of
from tinyse.errors import InputError, MissingExtra
from tinyse.features import HOP
from tinyse.live import find_offers
from tinyse.live import offers as offers_room
from tinyse.live.messages import HEADER, BadMessage, read_text
from tinyse.live.session import JUDGED, PAST, Session
from tinyse.live.session import time as session_time


def noise(frames: int) -> bytes:
    return bytes_of(np.random.default_rng(frames).uniform(-0.5, 0.5, frames * HOP))


def cut(sound: bytes) -> list[bytes]:
    return [sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES)]


def heard(session: Session, sound: bytes) -> bytes:
    return b"".join(session.answer(frame)[HEADER.size :] for frame in cut(sound))


def choose(session: Session, model: str | None, runtime: str = "oracle") -> dict:
    return json.loads(session.answer(json.dumps(dict(type="choose", model=model, runtime=runtime))))


def test_the_hello_names_what_there_is(offers) -> None:
    hello = json.loads(Session(offers).hello())
    assert (hello["rate_hz"], hello["frame_samples"], hello["latency_ms"]) == (16_000, 256, 32)
    assert [model["name"] for model in hello["models"]] == ["small"]
    assert hello["models"][0]["flash_bytes"] > 1000 and "oracle" in hello["runtimes"]


def test_noisy_comes_back_a_frame_later(offers) -> None:
    sound = noise(5)
    assert heard(Session(offers), sound) == bytes(FRAME_BYTES) + sound[:-FRAME_BYTES]


def test_a_model_gives_what_the_file_command_gives(offers, small_model) -> None:
    session, sound = Session(offers), noise(40)
    assert choose(session, "small") == {"type": "chosen", "model": "small", "runtime": "oracle"}
    expected = open_enhancer(small_model, "oracle").whole(samples_of(sound))
    session.answer('{"type": "start"}')
    found = samples_of(heard(session, sound + bytes(FRAME_BYTES)))[HOP:]
    np.testing.assert_allclose(found, expected, atol=1 / 32768)


def test_a_switch_goes_on_as_if_it_had_been_heard_from_the_start(offers) -> None:
    """To the sample, while the past is shorter than what is kept of it."""
    sound = noise(PAST + 10)
    whole, switched = Session(offers), Session(offers)
    choose(whole, "small")
    expected = heard(whole, sound)
    heard(switched, sound[: PAST * FRAME_BYTES])
    choose(switched, "small")
    assert heard(switched, sound[PAST * FRAME_BYTES :]) == expected[PAST * FRAME_BYTES :]


def test_frames_are_numbered_from_each_start(offers) -> None:
    session = Session(offers)
    for _ in range(2):
        session.answer('{"type": "start"}')
        assert [HEADER.unpack_from(session.answer(f))[0] for f in cut(noise(3))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("model", "runtime", "says"),
    [("other", "oracle", "no such model"), ("small", "tpu", "no such runtime"),
     ("small", "keras_model", "no such runtime"), ("../small", "oracle", "no such model")],
)  # fmt: skip
def test_what_is_not_offered_is_refused_and_all_is_as_it_was(offers, model, runtime, says) -> None:
    session, sound = Session(offers), noise(4)
    assert says in choose(session, model, runtime)["reason"]
    assert heard(session, sound) == bytes(FRAME_BYTES) + sound[:-FRAME_BYTES]


def test_a_model_that_has_gone_is_refused(small_model, tmp_path) -> None:
    file = tmp_path / "gone.tflite"
    file.write_bytes((small_model / "model.tflite").read_bytes())
    session = Session(find_offers([file], ["oracle"]))
    file.unlink()
    assert choose(session, "gone")["type"] == "refused"


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES + 1, 4 * FRAME_BYTES])
def test_frames_of_another_size_are_no_message(offers, size) -> None:
    with pytest.raises(BadMessage, match=f"got {size}"):
        Session(offers).answer(bytes(size))


@given(st.text() | st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("type"), inner),
).map(json.dumps))  # fmt: skip
def test_rubbish_is_no_message(text) -> None:
    with pytest.raises(BadMessage, match="not a request"):
        read_text(text)


def test_a_message_that_is_nested_deep_is_no_message() -> None:
    with pytest.raises(BadMessage, match="not a request"):
        read_text('{"a":' + "[" * 2000 + "]" * 2000 + ',"type":"start"}')


@given(st.binary(min_size=FRAME_BYTES, max_size=FRAME_BYTES))
def test_any_samples_are_answered_by_samples(offers, data) -> None:
    session = Session(offers)
    choose(session, "small")
    assert len(session.answer(data)) == len(session.answer(data)) == HEADER.size + FRAME_BYTES


def test_what_does_not_hold_real_time_is_said_once(offers, monkeypatch) -> None:
    notices: list[str] = []
    session = Session(offers, notices.append)
    choose(session, "small")
    clock = iter(range(10_000))
    monkeypatch.setattr(session_time, "perf_counter", lambda: next(clock) * 0.02)
    heard(session, noise(JUDGED - 1))
    assert notices == []
    heard(session, noise(JUDGED))
    assert notices == ["small on oracle takes 20.0 ms a frame; real time is 16 ms"]


def test_models_of_one_name_stay_apart(small_model) -> None:
    offers = find_offers([small_model, small_model / "model.tflite", small_model], ["oracle"])
    assert [offer.name for offer in offers.models] == ["small", "model", "small (2)"]


def test_a_blob_that_nobody_asked_for_is_not_coded(small_model, monkeypatch) -> None:
    monkeypatch.setattr("tinyse.pack.files.coded", lambda *_: pytest.fail("coded"))
    assert find_offers([small_model], ["oracle"]).models[0].flash_bytes > 1000


def test_a_runtime_that_is_not_there_is_told(small_model) -> None:
    offers = find_offers([small_model], ["oracle", "nonsense"])
    assert offers.runtimes == ("oracle",) and "unknown runtime" in offers.missing["nonsense"]
    with pytest.raises(InputError, match="unknown runtime 'nonsense'; use"):
        find_offers([small_model], ["nonsense"])


def test_a_run_that_is_not_exported_is_told_what_to_do(small_model, tmp_path) -> None:
    shutil.copy(small_model / "weights.npz", tmp_path)
    with pytest.raises(InputError, match="run tinyse export on it"):
        find_offers([tmp_path])


def test_where_no_runtime_is_installed_doctor_is_named(small_model, monkeypatch) -> None:
    def absent(*_):
        raise MissingExtra("tflite-micro", "tflm")

    monkeypatch.setattr(offers_room, "open_enhancer", absent)
    with pytest.raises(InputError, match=r"no runtime opens a model: .*; install one: tinyse doc"):
        find_offers([small_model], ["tflm"])
