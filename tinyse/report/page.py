"""One self-contained HTML page: figures, a chart, tables, and sounds to compare by ear and eye.

Everything is inside the file: it opens from a disk without a network, in light and dark, on a
phone.  `Page` is plain data; `content` makes one from the results of other commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinyse.errors import InputError, MissingExtra
from tinyse.report.charts import (
    MINUS,
    RATE,
    Change,
    dumbbells,
    levels_db,
    png_uri,
    sound_uri,
    spectrogram_png,
)

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class Figure:
    """One number that a reader should take home."""

    value: str
    unit: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Cells as they are shown; the first column holds names, the others numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Example:
    """One sound three times: noisy, enhanced, clean, each float [n] at 16 kHz; figures in dB."""

    title: str
    noisy: NDArray
    enhanced: NDArray
    clean: NDArray
    sdr_in: float | None = None
    sdr_out: float | None = None


@dataclass(frozen=True)
class Page:
    """What a page says, from top to bottom.

    changes : SDR before and after per condition, drawn as a chart
    notes : sentences at the end: what was measured on what, what is limited
    """

    title: str
    summary: str
    figures: tuple[Figure, ...] = ()
    changes: tuple[Change, ...] = ()
    tables: tuple[Table, ...] = ()
    examples: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sound:
    """One of an example's three sounds, ready to be placed."""

    name: str
    role: str
    figure: str
    image: str
    audio: str
    seconds: float


def demo_page(page: Page) -> str:
    """The HTML of `page`; MissingExtra without Jinja2."""
    template = environment().get_template("page.html.j2")
    examples = placed_examples(page.examples)
    return template.render(page=page, chart=dumbbells(page.changes), examples=examples)


def placed_examples(examples: Sequence[Example]) -> list[tuple[str, Sequence[Sound]]]:
    """Title and three sounds of each example, as the templates take them."""
    return [(example.title, _sounds(example)) for example in examples]


def environment() -> jinja2.Environment:
    """Jinja2 on our templates: HTML is escaped, an unknown name is an error."""
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingExtra("jinja2", "report") from error
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=jinja2.select_autoescape(("html.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _sounds(example: Example) -> Sequence[Sound]:
    sounds = {"noisy": example.noisy, "enhanced": example.enhanced, "clean": example.clean}
    if len({len(sound) for sound in sounds.values()}) != 1 or not len(example.noisy):
        lengths = ", ".join(f"{name} {len(sound)}" for name, sound in sounds.items())
        what = f"expected three sounds of one length, got {lengths}"
        raise InputError(what, example.title, "cut them alike")
    levels = {name: levels_db(sound) for name, sound in sounds.items()}
    top = max(float(np.max(shown)) for shown in levels.values())  # one scale for all three
    figures = {"noisy": _db(example.sdr_in), "enhanced": _db(example.sdr_out), "clean": ""}
    return [
        Sound(
            name=name.capitalize(),
            role=name,
            figure=figures[name],
            image=png_uri(spectrogram_png(levels[name], top)),
            audio=sound_uri(sounds[name]),
            seconds=len(sounds[name]) / RATE,
        )
        for name in sounds
    ]


def _db(value: float | None) -> str:
    return "" if value is None else f"SDR {value:.1f} dB".replace("-", MINUS)
