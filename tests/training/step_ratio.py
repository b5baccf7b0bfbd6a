"""What a step of compression costs against a float step.

    python -m tests.training.step_ratio [TURNS [PRECISION]]

Steps take turns in one process, in the shape of the published network; medians of wall time, and
CPU time of all threads.  The phases of a level: "fixed" is masks alone, "distils" follows the float
network too, "selects" makes its masks from thresholds.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.network_maker import float_weights
from tinyse.features import Normalisation
from tinyse.network.build import shapes
from tinyse.network.quantised import Activations
from tinyse.quant import read_weights
from tinyse.recipe import Compress, Recipe, Train
from tinyse.sparsity.choice import array_masks, everything
from tinyse.sparsity.groups import parse_structure
from tinyse.training.compress_step import Knobs, make_compress_step
from tinyse.training.groups_in_graph import THRESHOLD, Selection
from tinyse.training.source import Teacher
from tinyse.training.step import State, make_step

STRUCTURE = parse_structure("block:4x4")
PHASES = {"fixed": (False, False), "distils": (False, True), "selects, distils": (True, True)}


def main(turns: int = 15, precision: str = "float32") -> None:
    """Prints the median of every phase, and its ratio to the float step's."""
    train = Train(precision=precision)
    steps = _steps(Recipe(name="ratio", train=train, compress=Compress()))
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for turn in range(turns + 1):
        for name, step in steps.items():
            begin = time.perf_counter(), time.process_time()
            step()
            spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
            if turn:  # the first one compiles
                seconds[name].append(spent)
    medians = {name: np.median(each, axis=0) for name, each in seconds.items()}
    for name, (wall, cpu) in medians.items():
        against = wall / medians["float"][0], cpu / medians["float"][1]
        ratios = f"{against[0]:.2f} wall, {against[1]:.2f} CPU"
        print(f"{name:<18}{1e3 * wall:7.0f} ms wall {1e3 * cpu:7.0f} ms CPU   {ratios}")


def _steps(recipe: Recipe) -> dict[str, Callable[[], None]]:
    arrays = float_weights(gain=0.5)
    arrays |= {f"lstm_{i}/cell_clip": np.float32(recipe.network.cell_clip) for i in range(2)}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "weights.npz", **arrays)
        floats = read_weights(Path(folder) / "weights.npz")
    parameters = {name: arrays[name] for name in shapes(recipe.network)}
    statistics = Normalisation(floats.mean, floats.std)
    given = statistics.mean, statistics.std
    teacher = Teacher.of(recipe.network, parameters, statistics, statistics)
    drawn, rate = _batch(recipe), np.asarray(1e-4, np.float32)
    energy = {key: np.ones(len(x)) for key, x in parameters.items() if x.ndim == 2}
    selection = Selection(parameters, STRUCTURE, energy)
    masks = array_masks(parameters, STRUCTURE, everything(parameters, STRUCTURE))
    fixed = {"masks": masks, "teachers": [parameters]}
    knobs = Knobs(1, 1e-4, 10.0, 0.2).arrays()
    plain = make_step(recipe, *given)
    start = tuple(State.fresh(parameters))
    steps = {"float": lambda: np.asarray(plain(start, drawn, knobs["number"], rate)[1])}
    for name, (selects, distils) in PHASES.items():
        chosen = selection if selects else None
        made = make_compress_step(
            recipe, Activations.of(floats), given, chosen, (teacher,) if distils else ()
        )
        state = tuple(State.fresh(_with_thresholds(parameters) if selects else parameters))
        steps[name] = lambda made=made, state=state: np.asarray(made(state, drawn, fixed, knobs)[1])
    return steps


def _with_thresholds(parameters):
    from tinyse.sparsity.groups import halves

    low = np.asarray(math.log(1e-3), np.float32)
    return parameters | {THRESHOLD + name: low for name in halves(parameters)}


def _batch(recipe: Recipe) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    rows, samples = recipe.train.batch, (recipe.train.frames + 1) * 256
    draw = {
        "speech": 0.1 * random.standard_normal((rows, samples)),
        "noise": 0.1 * random.standard_normal((rows, samples)),
        "equaliser": random.uniform(0.5, 2, (rows, 2, 257)),
        "snr_db": random.uniform(-5, 10, rows),
        "level_dbfs": random.uniform(-40, -15, rows),
    }
    return {name: value.astype(np.float32) for name, value in draw.items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
