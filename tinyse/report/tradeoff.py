"""What a compression costs and buys: points, the Pareto front, and which axes there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tinyse.report.measures import ACCOUNTS, MACS
from tinyse.report.runs import Measure

Measured = dict[str, Measure]  # key -> number of one entry
# (key, what the axis says, whether less is better): the first that any entry has is drawn upwards.
HEIGHTS = (
    ("quality/sdr_loss", "SDR loss, dB", True),
    ("quality/sdr_gain", "SDR gain, dB", False),
    ("quality/valid_si_sdr_gain", "SI-SDR gain, validation, dB", False),
)
TITLES = {
    "instructions": "instructions a frame",
    "cycles": "cycles a frame",
    "macs": "MACs a frame",
}


@dataclass(frozen=True)
class Axis:
    """A measure as an axis: its key, its title, and which end is good."""

    key: str
    title: str
    less_is_better: bool = True


@dataclass(frozen=True)
class Tradeoff:
    """One chart: entries by number, those on the front, those that lack a figure."""

    x: Axis
    y: Axis
    points: tuple[int, ...]
    front: tuple[int, ...]
    missing: tuple[int, ...]


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Numbers of the points (x, y) that none beats, x rising; less is better in both.

    A point is beaten by one that is no worse in both and better in one; equal points all stay.
    """
    order = sorted(range(len(points)), key=lambda n: points[n])
    front: list[int] = []
    for n in order:
        if not front or points[n][1] < points[front[-1]][1] or points[n] == points[front[-1]]:
            front.append(n)
    return front


def tradeoffs(entries: Sequence[Measured], account: str | None = None) -> list[Tradeoff]:
    """A chart for each kind of cost that an entry knows: bytes, MACs, instructions, cycles.

    account : the byte account to draw; else the one that most entries have
    """
    y = _height(entries)
    if y is None:
        return []
    return [_tradeoff(entries, x, y) for x in _widths(entries, account)]


def _height(entries: Sequence[Measured]) -> Axis | None:
    return next((Axis(*h) for h in HEIGHTS if any(h[0] in entry for entry in entries)), None)


def _widths(entries: Sequence[Measured], account: str | None) -> list[Axis]:
    """One axis a kind, the one that most entries know; every core and NPU is a kind."""
    known = Counter(key for entry in entries for key in entry)
    accounts = [f"bytes/{account}"] if account else [f"bytes/{name}" for name in ACCOUNTS]
    found = []
    for keys in (accounts, [f"macs/{kind}" for kind in MACS]):
        best = max(keys, key=lambda key: known[key])  # the first of equals
        if known[best]:
            kind, _, name = best.partition("/")
            title = f"bytes ({name})" if kind == "bytes" else f"{TITLES[kind]} ({name})"
            found.append(Axis(best, title))
    for kind in ("instructions", "cycles"):
        for key in sorted(key for key in known if key.startswith(f"{kind}/")):
            found.append(Axis(key, f"{TITLES[kind]} ({key.partition('/')[2]})"))
    return found


def _tradeoff(entries: Sequence[Measured], x: Axis, y: Axis) -> Tradeoff:
    there = [n for n, entry in enumerate(entries) if x.key in entry and y.key in entry]
    sign = 1 if y.less_is_better else -1
    places = [(entries[n][x.key].value, sign * entries[n][y.key].value) for n in there]
    front = tuple(there[n] for n in pareto_front(places))
    missing = tuple(n for n in range(len(entries)) if n not in there)
    return Tradeoff(x, y, tuple(there), front, missing)
