"""Where a mean comes from: the same rows by noise class, by classes seen in training, by language.

Seen is a noise class that the train split of the corpus has; the recordings themselves are never
the same.  Other talkers are speech and belong to neither.  Without a manifest beside the audio
only the classes are told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinyse.audio.corpora import read_rows
from tinyse.audio.draw_lists import TALKER
from tinyse.audio.lists import MixtureList, MixtureRow
from tinyse.evaluate.rows import IN_DB, Row
from tinyse.evaluate.summary import ci95, mean, paired

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Corpus:
    """What the manifest says: noise classes of the train split, each speaker's language."""

    trained: frozenset[str]
    languages: dict[str, str]


def corpus_of(mixtures: MixtureList) -> Corpus | None:
    """The corpus that a list's audio is of; None without a manifest or for ready pairs."""
    path = mixtures.root / MANIFEST
    if not path.is_file() or not any(isinstance(row, MixtureRow) for row in mixtures.rows):
        return None
    manifest, _ = read_rows(path)
    trained = {interval.noise_class for interval in manifest.select("noise", "train")}
    spoken = {i.speaker: i.language for i in manifest.select("speech") if i.language}
    return Corpus(frozenset(trained), spoken)


_SEEN = {True: "seen", False: "unseen", None: None}


def breakdown(rows: Sequence[Row], corpus: Corpus | None) -> dict[str, Any]:
    """`by_noise`, `by_seen` and `by_language` of the headline rows, as far as they are known."""
    found: dict[str, Any] = {}
    classes = _grouped(rows, lambda row: row.noise_class)
    if classes:
        found["by_noise"] = {name: _noise_class(name, of, corpus) for name, of in classes.items()}
    if corpus is not None:
        seen = _grouped(rows, lambda row: _SEEN[_seen(row, corpus)])
        found["by_seen"] = {name: _gains(of) for name, of in seen.items()}
        spoken = _grouped(rows, lambda row: corpus.languages.get(row.group))
        found["by_language"] = {name: _gains(of) for name, of in spoken.items()}
    return {name: parts for name, parts in found.items() if parts}


def _grouped(rows: Sequence[Row], key: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if name := key(row):
            groups[name].append(row)
    return dict(sorted(groups.items()))


def _seen(row: Row, corpus: Corpus) -> bool | None:
    if row.noise_class in ("", TALKER):
        return None
    return row.noise_class in corpus.trained


def _noise_class(name: str, rows: Sequence[Row], corpus: Corpus | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"recordings": len({row.noise_group for row in rows})}
    if corpus is not None:
        facts["seen"] = _seen(rows[0], corpus)
    return _gains(rows) | facts


def _gains(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows, speakers, and the mean gains in dB with the SDR's interval over speakers."""
    found: dict[str, Any] = {"rows": len(rows), "speakers": len({row.group for row in rows})}
    for metric in (name for name in IN_DB if name in rows[0].scores["out"]):
        found[f"{metric}_gain"] = mean(gain for _, gain in paired(rows, metric, "out", "in"))
    return found | {"sdr_gain_ci95": ci95(paired(rows, "sdr", "out", "in"))}
