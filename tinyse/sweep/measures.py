"""Figures of the files that a run has made: one, or one for every level of sparsity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyse.audio.lists import MixtureList, list_of_corpus, read_list
from tinyse.audit import DEFAULT_BLOCK, inspect
from tinyse.enhance import find_model
from tinyse.evaluate import evaluate_each, split_against
from tinyse.export import export_model
from tinyse.files import read_json, write_json
from tinyse.quant import fitting_profile, read_weights
from tinyse.recipe import read_recipe
from tinyse.run_folder import level_folder
from tinyse.sparsity.groups import parse_structure
from tinyse.sweep.plan import Plan

SCORES = "evaluate.json"
_OF_LEVEL = ("sparsity", "valid_si_sdr_gain")  # of run.json


@dataclass(frozen=True)
class Measuring:
    """How the files of a sweep are measured.

    mixtures : what they are scored on, None for nothing
    workers : processes that score, None for one a core
    """

    plan: Plan
    mixtures: MixtureList | None
    workers: int | None

    @classmethod
    def of(cls, plan: Plan, beside: Path, data: Path | None, workers: int | None) -> Measuring:
        """As the plan says; its list is looked for beside SWEEP.toml, then in the corpus."""
        model, _ = split_against(plan.against)
        if model:
            find_model(model)  # refused before the first run
        if not plan.evaluate:
            return cls(plan, None, workers)
        near = beside / plan.evaluate
        listed = read_list(near) if near.exists() else list_of_corpus(plan.evaluate, data)
        return cls(plan, listed, workers)

    def run(self, folder: Path) -> dict[str, Any]:
        """Figures of a finished run's file; where it has levels, also `levels`, a dict each.

        Writes model.tflite, manifest.json, inspect.json and evaluate.json into the run and into
        the folder of every level but the last, whose file the run's own is.
        """
        levels = read_json(folder / "run.json").get("levels", [])
        places = [level_folder(folder, level["sparsity_asked"]) for level in levels[:-1]]
        places.append(folder)
        figures = [self._of_file(place) for place in places]
        self._evaluate(places)
        found = [
            {key: level[key] for key in _OF_LEVEL if key in level} | of_file | self._scores(place)
            for level, of_file, place in zip(levels or [{}], figures, places, strict=True)
        ]
        return found[-1] | ({"levels": found} if len(found) > 1 else {})

    def _of_file(self, folder: Path) -> dict[str, Any]:
        """Figures that the exported file tells without a sound."""
        profile = fitting_profile(read_weights(folder / "weights.npz"))
        file = export_model(folder, folder, profile, force=True)
        audit = inspect(file, (_block(folder),))
        write_json(folder / "inspect.json", audit)
        figures = {f"{name}_bytes": count for name, count in audit["bytes"].items()}
        return figures | {f"macs_{kind}": audit["macs"][kind] for kind in ("nonzero", "live")}

    def _evaluate(self, places: list[Path]) -> None:
        """evaluate.json of every place that a killed sweep has not left one in."""
        plan = self.plan
        places = [place for place in places if not (place / SCORES).exists()]
        if self.mixtures is None or not places:
            return
        scores = evaluate_each(
            places, self.mixtures, plan.runtime, against=plan.against or None,
            metrics=plan.metrics, limit=plan.rows, workers=self.workers,
        )  # fmt: skip
        for place, of_place in zip(places, scores, strict=True):
            write_json(place / SCORES, of_place)

    def _scores(self, folder: Path) -> dict[str, Any]:
        """Means of evaluate.json."""
        if self.mixtures is None:
            return {}
        plan, scores = self.plan, read_json(folder / SCORES)
        found = {f"{metric}_gain": scores["quality"][f"{metric}_gain"] for metric in plan.metrics}
        if plan.against:
            lost = scores["against"]
            found |= {f"{metric}_loss": lost.get(f"{metric}_loss") for metric in plan.metrics}
            found["sdr_loss_low"], found["sdr_loss_high"] = lost["sdr_loss_ci95"]
        return found


def _block(folder: Path) -> tuple[int, int]:
    """The block that live multiply-accumulates are counted by: the run's own where it has one."""
    path = folder / "recipe.toml"
    settings = read_recipe(path).compress if path.exists() else None
    structure = parse_structure(settings.structure) if settings else None
    if structure is None or structure.kind != "block":
        return DEFAULT_BLOCK
    return structure.rows, structure.columns
