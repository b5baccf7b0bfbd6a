"""The folder shapes of published corpora: where their speech and noise lie, and who speaks.

| shape            | speech                                         | noise                    | splits            | speaker |
|------------------|------------------------------------------------|--------------------------|-------------------|---------|
| voicebank-demand | clean_trainset_*_wav, clean_testset_wav        | none (give DEMAND)       | its own; p226, p287 valid | p226_001.wav |
| demand           | none                                           | DKITCHEN/ch01.wav ..     | by hash           | -       |
| dns              | clean*/ (read_speech, .. ; `clean_fullband`)   | noise*/ (`noise_fullband`) | by hash         | .._reader_01326_.. |
| ms-snsd          | clean_train, clean_test                        | noise_train, noise_test  | its own           | none    |
| chime2           | reverberated/ (isolated and scaled are noisy)  | background/              | train, devel, test; si_tr_s, si_dt_05, si_et_05 | id1/, s1_.., 011/011c0201 |

VoiceBank-DEMAND: Valentini-Botinhao 2016 (DataShare 10283/2791).  DEMAND: Thiemann 2013, of whose 16
channels the first is taken.  DNS: github.com/microsoft/DNS-Challenge.  MS-SNSD: github.com/microsoft/
MS-SNSD.  CHiME2: Vincent 2013, both tracks (PCCdata16kHz, chime2-wsj0).  A split "by hash" is ours.
"""  # noqa: E501 - a table

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from tinyse.audio.corpora import Kind, Split


class Rule(msgspec.Struct, frozen=True):
    """Files whose path (below the corpus, with `/`) holds `pattern` are of this kind and split.

    A named group `label` in the pattern is the speaker or noise class.
    """

    pattern: str
    kind: Kind
    split: Split | None = None


class Shape(msgspec.Struct, frozen=True):
    """A corpus: it is recognised when a folder's path matches each of `marks`."""

    name: str
    marks: tuple[str, ...]
    rules: tuple[Rule, ...]


_MS_SNSD_KINDS: tuple[tuple[str, Kind], ...] = (("clean", "speech"), ("noise", "noise"))
_MS_SNSD_SPLITS: tuple[Split, ...] = ("train", "test")
_CHIME2: tuple[tuple[str, str, Split], ...] = (  # folders of the small and the medium track
    ("train", "si_tr_s", "train"),
    ("devel", "si_dt_05", "valid"),
    ("test", "si_et_05", "test"),
)
# The folders of DEMAND; any TRAIN or DATA would do for a looser pattern.
_DEMAND = (
    "(DKITCHEN|DLIVING|DWASHING|NFIELD|NPARK|NRIVER|OHALLWAY|OMEETING|OOFFICE|PCAFETER|PRESTO"
    "|PSTATION|SCAFE|SPSQUARE|STRAFFIC|TBUS|TCAR|TMETRO)"
)
_DEMAND_FIRST = rf"(?P<label>{_DEMAND})/ch01\."

SHAPES = (
    Shape(
        "voicebank-demand",
        (r"(^|/)clean_(train|test)set(_\d+spk)?_wav$",),
        (
            Rule(r"(^|/)clean_testset_wav/(?P<label>p\d+)_", "speech", "test"),
            Rule(r"(^|/)clean_trainset_\w+_wav/(?P<label>p226|p287)_", "speech", "valid"),
            Rule(r"(^|/)clean_trainset_\w+_wav/(?P<label>p\d+)_", "speech", "train"),
        ),
    ),
    Shape(
        "ms-snsd",
        (r"(^|/)(clean|noise)_(train|test)$",),
        tuple(
            Rule(rf"(^|/){folder}_{split}/", kind, split)
            for folder, kind in _MS_SNSD_KINDS
            for split in _MS_SNSD_SPLITS
        ),
    ),
    Shape(
        "chime2",
        (r"(^|/)(reverberated|background)(/|$)",),
        tuple(
            Rule(pattern, "speech", split)
            for folder, wsj, split in _CHIME2
            for pattern in (
                rf"(^|/)reverberated/{wsj}/(?P<label>\w{{3}})/",
                rf"(^|/){folder}/reverberated/(?P<label>id\d+)/",
                rf"(^|/){folder}/reverberated/(.*/)?(?P<label>s\d+)_",
            )
        )
        + tuple(Rule(rf"(^|/){folder}/background/", "noise", split) for folder, _, split in _CHIME2)
        + (Rule(r"(^|/)background/", "noise"),),
    ),
    Shape(
        "dns",
        (r"(^|/)clean(_fullband)?(/|$)", r"(^|/)noise(_fullband)?(/|$)"),
        (
            Rule(r"(^|/)clean(_fullband)?/", "speech"),
            Rule(rf"(^|/)noise(_fullband)?/(.*/)?{_DEMAND_FIRST}", "noise"),
            Rule(rf"(^|/)noise(_fullband)?/(?!(.*/)?{_DEMAND}/ch\d)", "noise"),
        ),
    ),
    Shape("demand", (rf"(^|/){_DEMAND}$",), (Rule(rf"(^|/){_DEMAND_FIRST}", "noise"),)),
)

# Names that say who speaks, most telling first: DNS readers, VCTK, LibriSpeech, Grid.
_SPEAKERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<label>reader_\d+)",
        r"^(?P<label>[ps]\d{3})_\d",
        r"^(?P<label>\d+)-\d+-\d+",
        r"^(?P<label>s\d+)_",
    )
)
# munching_Freesound_validated_395390_0, AirConditioner_1: the words before the first number.
_CLASS = re.compile(r"^(?P<label>[A-Za-z]+(?:[ _-][A-Za-z]+)*?)(?=_Freesound|[ _-]*\d|$)")


def find_shape(folders: Iterable[str]) -> Shape | None:
    """The shape of a corpus with these folders (relative, with `/`)."""
    folders = list(folders)
    for shape in SHAPES:
        if all(any(re.search(mark, folder) for folder in folders) for mark in shape.marks):
            return shape
    return None


def find_rule(shape: Shape, path: str) -> tuple[Rule, str] | None:
    """The first rule that holds for a file, and the label in its path; None: not of use."""
    for rule in shape.rules:
        found = re.search(rule.pattern, path)
        if found:
            return rule, found.groupdict().get("label") or ""
    return None


def speaker_of(stem: str) -> str:
    """The speaker that a file's name (without suffix) encodes, or nothing."""
    for pattern in _SPEAKERS:
        found = pattern.search(stem)
        if found:
            return found["label"]
    return ""


def class_of(stem: str) -> str:
    """The noise class in a file's name (AirConditioner_1 -> airconditioner), or nothing."""
    found = _CLASS.match(stem)
    return found["label"].lower() if found and len(found["label"]) > 2 else ""


def recording_of(stem: str) -> str:
    """The recording a clip was cut from: DNS numbers its clips (.._395390_0, .._395390_1)."""
    return re.sub(r"(_Freesound(?:_validated)?_\d+)_\d+$", r"\1", stem)
