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


def frames_past(count: int) -> str:
    return f"Number(document.getElementById('frames').textContent) > {count}"


def press(page: Page, key: str) -> None:
    event = f"new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }})"
    page.evaluate(f"document.body.dispatchEvent({event})")


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
    soundfile.write(tmp_path / "tone.wav", 0.3 * np.sin(np.arange(44_100) / 5), 44_100)
    data = base64.b64encode((tmp_path / "tone.wav").read_bytes()).decode()
    page.evaluate(f"""(() => {{
      const bytes = Uint8Array.from(atob("{data}"), letter => letter.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], "tone.wav", {{ type: "audio/wav" }}));
      document.body.dispatchEvent(new DragEvent("drop", {{ dataTransfer, bubbles: true }}));
    }})()""")
    page.wait_for(frames_past(40))
    assert page.evaluate("document.getElementById('source').textContent") == "tone.wav"


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
    press(page, "0")
    page.wait_for("document.getElementById('problem').hidden")


def test_a_second_page_takes_over_and_the_first_says_so(browser, address) -> None:
    first, second = browser.open(address), None
    first.wait_for("document.getElementById('heard').textContent == 'small on oracle'")
    second = browser.open(address)
    second.wait_for("document.getElementById('heard').textContent == 'small on oracle'")
    first.wait_for("document.getElementById('problem').textContent.includes('taken over')")
