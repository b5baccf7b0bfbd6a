"""The live page in a real browser whose microphone is a file."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("websockets")

from tests.browser.chromium import Chromium, Page
from tests.live.serving import served
from tinyse.enhance import Passthrough
from tinyse.live import find_offers, session

RATE = 16_000
SHADES = """(() => {
  const canvas = document.getElementById("%s");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(data).size;
})()"""


SOURCE = "document.getElementById('source').textContent"
PROBLEM = "document.getElementById('problem').textContent"
# A microphone that is given when the test says so; what was opened is kept to be looked at.
ASKING = """(() => {
  const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
  const Context = window.AudioContext;
  window.contexts = 0;
  window.tracks = [];
  window.asked = [];
  window.AudioContext = class extends Context {
    constructor(options) { super(options); window.contexts++; }
  };
  devices.getUserMedia = async options => {
    await new Promise((given, refused) => window.asked.push({ given, refused }));
    const stream = await open(options);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
})()"""


def frames_past(count: int) -> str:
    return f"Number(document.getElementById('frames').textContent) > {count}"


def press(page: Page, key: str) -> None:
    event = f"new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }})"
    page.evaluate(f"document.body.dispatchEvent({event})")


def click(page: Page, button: str) -> None:
    page.evaluate(f"document.getElementById('{button}').click()")


def drop(page: Page, folder: Path) -> None:
    """Drops tone.wav, which is made in `folder`, on the page."""
    soundfile.write(folder / "tone.wav", 0.3 * np.sin(np.arange(44_100) / 5), 44_100)
    data = base64.b64encode((folder / "tone.wav").read_bytes()).decode()
    page.evaluate(f"""(() => {{
      const bytes = Uint8Array.from(atob("{data}"), letter => letter.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], "tone.wav", {{ type: "audio/wav" }}));
      document.body.dispatchEvent(new DragEvent("drop", {{ dataTransfer, bubbles: true }}));
    }})()""")


def silent(page: Page) -> bool:
    """Whether no frame is sent any more."""
    page.evaluate("new Promise(done => setTimeout(done, 300))")  # what was on its way
    count = "document.getElementById('frames').textContent"
    before = page.evaluate(count)
    page.evaluate("new Promise(done => setTimeout(done, 300))")
    return page.evaluate(count) == before


@pytest.fixture(scope="module")
def address(small_model) -> str:
    with served(find_offers([small_model], ["oracle"])) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Chromium:
    folder = tmp_path_factory.mktemp("chromium")
    seconds = np.arange(4 * RATE) / RATE
    sound = 0.2 * np.sin(2 * np.pi * 700 * seconds) * (seconds % 1 < 0.5)
    sound += np.random.default_rng(1).normal(0, 0.03, len(sound))
    soundfile.write(folder / "microphone.wav", sound, RATE)
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}",
    )
    with Chromium.start(folder / "profile", *fake) as found:
        yield found


@pytest.fixture
def page(browser, address) -> Page:
    page = browser.open(address)
    page.wait_for("document.getElementById('heard').textContent == 'small on oracle'")
    yield page
    assert page.errors == []
    own = (address, address.replace("http:", "ws:"), "about:blank", "data:", "blob:")
    assert {url for url in page.fetched if not url.startswith(own)} == set()


def test_the_microphone_goes_round_and_is_seen(page, request) -> None:
    page.evaluate("document.getElementById('microphone').click()")
    page.wait_for(frames_past(70))
    for canvas in ("noisy", "enhanced"):
        assert page.evaluate(SHADES % canvas) > 50
    assert page.evaluate("document.getElementById('time').textContent").endswith(" ms")
    assert "left out" in page.evaluate("document.getElementById('lost').textContent")
    kept = Path(request.config.rootpath) / "out" / "screenshots"
    page.screenshot(kept / "live_desktop.png")
    page.resize(390, 800)
    page.screenshot(kept / "live_phone.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("document.getElementById('stop').click()")


def test_the_switch_works_while_sound_runs(page) -> None:
    page.evaluate("document.getElementById('microphone').click()")
    page.wait_for(frames_past(20))
    for key, heard in (("0", "Noisy"), ("1", "small on oracle")):
        press(page, key)
        page.wait_for(f"document.getElementById('heard').textContent == '{heard}'")
        before = int(page.evaluate("document.getElementById('frames').textContent"))
        page.wait_for(frames_past(before + 10))


def test_a_dropped_file_is_played_in_place_of_the_microphone(page, tmp_path) -> None:
    drop(page, tmp_path)
    page.wait_for(frames_past(40))
    assert page.evaluate(SOURCE) == "tone.wav"


def test_a_file_takes_the_place_of_a_microphone_that_is_being_asked_for(page, tmp_path) -> None:
    hint = page.evaluate(SOURCE)
    page.evaluate(ASKING)
    for _ in range(2):  # a double click
        click(page, "microphone")
    page.wait_for("asked.length == 1")
    assert not page.evaluate("document.getElementById('stop').disabled")
    drop(page, tmp_path)
    page.wait_for(f"{SOURCE} == 'tone.wav'")
    page.evaluate("asked[0].given()")
    page.wait_for("tracks.length == 1 && tracks[0].readyState == 'ended'")
    page.wait_for(frames_past(10))
    assert page.evaluate(f"{SOURCE} == 'tone.wav' && contexts == 1")
    click(page, "stop")
    assert page.evaluate(SOURCE) == hint and silent(page)


def test_a_microphone_that_is_given_after_the_end_is_let_go(page, browser, address) -> None:
    page.evaluate(ASKING)
    for ends in ("stop", "socket"):
        click(page, "microphone")
        page.wait_for("asked.length == 1")
        if ends == "stop":
            click(page, "stop")
        else:
            browser.open(address)
            page.wait_for(f"{PROBLEM}.includes('taken over')")
        page.evaluate("asked.pop().given()")
        page.wait_for("tracks.length && tracks.every(track => track.readyState == 'ended')")
        assert page.evaluate("document.getElementById('stop').disabled") and silent(page)
        page.evaluate("tracks = []")
    assert page.evaluate("[...document.getElementsByName('model')].every(input => input.disabled)")


def test_a_microphone_that_is_refused_or_goes_away_is_said(page) -> None:
    page.evaluate(ASKING)
    click(page, "microphone")
    page.wait_for("asked.length == 1")
    page.evaluate("asked.pop().refused(new DOMException('Permission denied', 'NotAllowedError'))")
    page.wait_for(f"{PROBLEM} == 'Microphone cannot be used: Permission denied'")
    assert page.evaluate("document.getElementById('stop').disabled")
    click(page, "microphone")
    page.wait_for("asked.length == 1")
    page.evaluate("asked.pop().given()")
    page.wait_for(frames_past(5))
    page.evaluate("tracks[0].dispatchEvent(new Event('ended'))")
    page.wait_for(f"{PROBLEM}.includes('Microphone has ended')")
    assert silent(page)


def test_a_microphone_that_cannot_be_connected_is_let_go(page) -> None:
    page.evaluate(ASKING)
    page.evaluate("MediaStreamAudioSourceNode = class { constructor() { throw Error('no'); } }")
    click(page, "microphone")
    page.wait_for("asked.length == 1")
    page.evaluate("asked.pop().given()")
    page.wait_for(f"{PROBLEM} == 'Microphone cannot be used: no'")
    assert page.evaluate("tracks.every(track => track.readyState == 'ended')")


def test_a_file_that_is_no_sound_is_said(page) -> None:
    page.evaluate("""(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["no sound"], "notes.txt"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
    })()""")
    page.wait_for(
        "document.getElementById('problem').textContent.includes('notes.txt cannot be used')"
    )


class Slow(Passthrough):
    """A stream that takes twice as long as its frames last."""

    def blocks(self, sound: np.ndarray) -> np.ndarray:
        time.sleep(0.032 * len(sound) / 256)
        return super().blocks(sound)


def test_what_does_not_hold_real_time_is_said(page, monkeypatch) -> None:
    monkeypatch.setattr(session, "open_stream", lambda model, runtime: Slow())
    press(page, "0")
    page.wait_for("document.getElementById('heard').textContent == 'Noisy'")
    press(page, "1")
    page.wait_for("document.getElementById('heard').textContent == 'small on oracle'")
    page.evaluate("document.getElementById('microphone').click()")
    says = "document.getElementById('problem').textContent"
    page.wait_for(f"{says}.includes('small on oracle does not hold real time')")
    page.wait_for("!document.getElementById('lost').textContent.startsWith('none')")
    page.wait_for(f"{says}.includes('takes longer than the 16 ms')")
    page.evaluate("""(() => {
      window.changes = 0;
      const observer = new MutationObserver(found => { window.changes += found.length; });
      observer.observe(document.getElementById("problem"), { childList: true, subtree: true });
    })()""")
    page.evaluate("new Promise(done => setTimeout(done, 1000))")
    assert page.evaluate("changes") == 0  # a screen reader would read each of them aloud
    press(page, "0")
    page.wait_for("document.getElementById('problem').hidden")


def test_a_second_page_takes_over_and_the_first_says_so(browser, address) -> None:
    first, second = browser.open(address), None
    first.wait_for("document.getElementById('heard').textContent == 'small on oracle'")
    second = browser.open(address)
    second.wait_for("document.getElementById('heard').textContent == 'small on oracle'")
    first.wait_for("document.getElementById('problem').textContent.includes('taken over')")
