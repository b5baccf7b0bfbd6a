"""Magnitude pruning on a schedule: TF-MOT says when and how much, `choice.by_budget` says what.

The schedules are TF-MOT's own objects (`PolynomialDecay` is the gradual pruning of Zhu and Gupta,
arXiv 1710.01878), evaluated by calling them.  That happens in a process of its own: importing
TF-MOT turns `tf.keras` into Keras 2 for the process it is in, and needs TensorFlow whatever backend
trains.  What is kept is chosen from dense shadow weights, so groups can come back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tinyse.errors import MissingExtra, TinySEError

PACKAGE = "tensorflow_model_optimization"


@dataclass(frozen=True)
class Schedule:
    """One schedule of TF-MOT by the name of its class, with its arguments."""

    name: str
    arguments: dict[str, Any]


Plan = list[Schedule]  # where two of it prune in the same step, the later one counts


def updates(plans: list[Plan], steps: int) -> list[dict[int, float]]:
    """For every plan: step -> sparsity at every one of `steps` at which a schedule of it prunes.

    MissingExtra without TF-MOT.
    """
    if find_spec(PACKAGE) is None:
        raise MissingExtra("tensorflow-model-optimization", "train")
    plain = [[vars(schedule) for schedule in plan] for plan in plans]
    asked = {"steps": steps, "plans": plain}
    command = [sys.executable, "-m", __name__, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TinySEError(f"TF-MOT ended with: {last}", "schedule")
    return [dict(found) for found in json.loads(done.stdout)]


def _evaluate(asked: dict) -> list[list[tuple[int, float]]]:
    """The process: every schedule of every plan called for every step."""
    import tensorflow_model_optimization.sparsity.keras as tfmot

    plans = []
    for plan in asked["plans"]:
        found = {}
        for schedule in plan:
            called = getattr(tfmot, schedule["name"])(**schedule["arguments"])
            for step in range(asked["steps"]):
                prunes, sparsity = called(step)
                if bool(prunes):
                    found[step] = float(sparsity)
        plans.append(sorted(found.items()))
    return plans


if __name__ == "__main__":
    print(json.dumps(_evaluate(json.loads(sys.argv[1]))))
