"""The page and what it carries inside itself."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from tinyse.errors import InputError, MissingExtra
from tinyse.report.charts import (
    Change,
    dumbbells,
    levels_db,
    palette,
    palette_png,
    sound_uri,
    spectrogram_png,
)
from tinyse.report.content import demo_content, quality_table
from tinyse.report.page import Example, Figure, Page, Table, demo_page

jinja2 = pytest.importorskip("jinja2")
VOID = {"meta", "img", "line", "circle", "path", "br", "link"}


class Tags(HTMLParser):
    """Refuses unbalanced tags; collects what a page would fetch and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.addresses, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value for key, value in attributes if key in ("src", "href")]

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID  # "<div/>" would stay open in HTML

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)


def example(title: str = "street, 0 dB") -> Example:
    return Example(title, tone(3000), tone(1000), tone(500), -0.25, 11.5)


def result() -> dict:
    scores = {"sdr_in": 0.1, "sdr_out": 9.2, "sdr_gain": 9.1, "si_sdr_gain": 8.8}
    return {
        "model": "small",
        "runtime": "tflm",
        "runtime_version": "tflite-micro 1",
        "file": {"name": "model.tflite", "sha256": "ab" * 32},
        "list": {"name": "l.csv", "sha256": "cd" * 32, "rows": 12},
        "quality": scores
        | {
            "rows": 12,
            "by_snr": {"-5": {"rows": 6} | scores, "clean": {"rows": 6, "sdr_out": 30.0}},
            "ci95": {"sdr_gain": [8.0, 10.0]},
            "bootstrap": {"groups": 9, "draws": 10_000, "seed": 1},
        },
        "against": {"model": "small", "runtime": "keras_model", "sdr_loss": 0.0123,
                    "sdr_loss_ci95": [-0.001, 0.02]},
    }  # fmt: skip


def test_a_page_stands_alone_and_says_everything() -> None:
    page = demo_content(
        result(), {"bytes": {"tflite": 988_872, "fp32": 3_875_840}}, [example()],
        tables=[Table("Time", ("runtime", "ms"), (("tflm", "1.0"),))],
        notes=["A note."], arena_bytes=18_404,
    )  # fmt: skip
    html = demo_page(page)
    tags = parsed(html)
    assert all(address.startswith("data:") for address in tags.addresses)
    assert len([a for a in tags.addresses if a.startswith("data:audio/flac")]) == 3
    assert not re.search(r"https?://|@import|url\(", html)
    text = re.sub(r"\s+", " ", " ".join(tags.text))
    for said in ("+9.1", "0.012", "989", "18", "−5 dB", "street, 0 dB", "A note.", "ab" * 32,
                 "9 speakers", "SDR −0.2 dB", "the float network"):  # fmt: skip
        assert said in text, said
    assert "prefers-color-scheme: dark" in html and "width=device-width" in html


def test_what_a_user_wrote_is_escaped() -> None:
    bad = "<script>alert('x')</script>"
    page = Page(
        bad, bad, (Figure(bad, bad, bad, bad),), (Change(bad, 0, 1),),
        (Table(bad, (bad,), ((bad,),), bad),), (example(bad),), (bad,),
    )  # fmt: skip
    html = demo_page(page)
    assert bad not in html and "&lt;script&gt;alert" in html
    parsed(html)


def test_an_empty_page_is_a_page() -> None:
    html = demo_page(Page("Title", "Summary"))
    parsed(html)
    assert "<table" not in html and "<svg" not in html and "Listen" not in html


def test_sounds_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="one length"):
        demo_page(Page("t", "s", examples=(Example("e", tone(1), tone(1), tone(1, 0.5)),)))


def test_without_jinja2_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"tinyse\[report\]"):
        demo_page(Page("t", "s"))


def test_a_clean_row_has_no_gain_in_the_table() -> None:
    table = quality_table(result())
    assert table.rows[1][:2] == ("clean", "6") and table.rows[1][4] == ""
    assert table.rows[-1][0] == "mean"


def test_a_tone_is_a_line_where_it_belongs() -> None:
    levels = levels_db(tone(2000))
    assert levels.shape[0] == 256
    # Bin 64 of 1..256, row 0 at the top.
    assert set(levels.argmax(axis=0)) == {256 - 64}


@pytest.mark.parametrize("samples", [1, 511, 512, 513, 16_000])
def test_a_spectrogram_of_any_length_is_a_png(samples) -> None:
    pillow = pytest.importorskip("PIL.Image")
    levels = levels_db(np.random.default_rng(0).normal(0, 0.1, samples))
    image = pillow.open(io.BytesIO(spectrogram_png(levels, float(levels.max()))))
    assert image.size == levels.shape[::-1]
    image.load()


def test_the_png_holds_what_was_put_in() -> None:
    pillow = pytest.importorskip("PIL.Image")
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = pillow.open(io.BytesIO(palette_png(indices, palette(64))))
    assert np.array_equal(np.array(image), indices)
    assert np.array_equal(np.array(image.convert("RGB")), palette(64)[indices])


def test_the_palette_gets_lighter_all_the_way() -> None:
    grey = palette(64) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey) > 0).all() and grey[0] < 12 and grey[-1] > 225


def test_a_sound_survives_its_address() -> None:
    sound = tone(440)
    kind, _, data = sound_uri(sound).partition(",")
    assert kind == "data:audio/flac;base64"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == 16_000
    np.testing.assert_allclose(samples, sound, atol=0.5 / 32768 + 1e-12)


def test_a_chart_keeps_its_order_and_its_bounds() -> None:
    chart = dumbbells([Change("a", -4.9, 6.0), Change("b", 3.0, 2.0)])
    first, second = chart.rows
    assert first.before < first.after and second.before > second.after
    assert all(0 <= x <= chart.width for row in chart.rows for x in (row.before, row.after))
    assert [text for _, text in chart.ticks] == ["−5", "0", "5", "10"]
    assert dumbbells([]) is None
    assert dumbbells([Change("a", 5.0, 5.0)]).rows[0].before > 0
