"""Each figure of behaviour beside the bound it is held to, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bound:
    """A figure, where it stands in the `behaviour` object, and what it must be."""

    part: str
    key: str
    name: str
    unit: str
    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the value is within the bound."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


BOUNDS = (
    Bound("clean", "si_sdr_mean_db", "clean speech: mean SI-SDR of the output", "dB", least=30.0),
    Bound("clean", "si_sdr_median_db", "clean speech: median", "dB", least=32.0),
    Bound("silence", "largest_steps", "silence: largest sample out", "16-bit steps", most=0),
    Bound("noise", "attenuation_db", "noise alone: attenuation", "dB", least=15.0),
    Bound(
        "level", "si_sdr_gain_spread_db", "SI-SDR gain over input levels: spread", "dB", most=0.5
    ),
    Bound(
        "level", "output_over_input_spread_db", "output over input level: spread", "dB", most=0.5
    ),
    Bound("start", "start_below_rest_db", "first half second: below the rest", "dB", most=3.0),
    Bound(
        "hour", "drift_db", "{minutes} minutes without reset: drift of the level", "dB", most=0.1
    ),
    Bound(
        "hour",
        "cell_growth",
        "{minutes} minutes without reset: growth of the states",
        "times",
        most=1.01,
    ),
)


def verdicts_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every bound whose figure was measured: `what`, `value`, `unit`, `at_least` or `at_most`."""
    verdicts = []
    for bound in BOUNDS:
        if bound.part not in found:
            continue
        value = found[bound.part][bound.key]
        limit = {"at_most": bound.most} if bound.least is None else {"at_least": bound.least}
        verdicts.append(
            {"what": bound.name.format(**found[bound.part]), "value": value, "unit": bound.unit}
            | limit
            | {"holds": bound.holds(value)}
        )
    return verdicts


def as_text(found: dict[str, Any]) -> str:
    """The table for people: measured, required, and whether it holds."""
    rows = [_line(verdict) for verdict in found["verdicts"]]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"behaviour on {found['runtime']}, {found['list']['name']}", ""]
    for what, value, required, holds in rows:
        cells = (what.ljust(widths[0]), value.rjust(widths[1]), required.ljust(widths[2]), holds)
        lines.append("  ".join(cells))
    if "clean" in found:
        clean = found["clean"]
        lines += [
            "",
            f"clean speech: the worst speaker is {clean['worst_speaker']}"
            f" with {clean['worst_speaker_si_sdr_db']:.1f} dB",
        ]
    return "\n".join(lines)


def _line(verdict: dict[str, Any]) -> tuple[str, str, str, str]:
    least = verdict.get("at_least")
    required = f"at least {least:g}" if least is not None else f"at most {verdict['at_most']:g}"
    holds = "holds" if verdict["holds"] else "DOES NOT HOLD"
    value = verdict["value"]
    shown = f"{value}" if isinstance(value, int) else f"{value:.2f}"
    return verdict["what"], f"{shown} {verdict['unit']}", required, holds
