"""A compression run: levels of sparsity learned together with int8, from a float network.

The run folder looks like that of `loop`; what differs: `levels/SPARSITY/` is a run of its own for
every level (recipe.toml, run.json, weights.npz), the run's own weights.npz is the last level's, and
`log.jsonl` has a line for every validation.

Weights of a level are those of the best validation after the choice of groups was fixed, put on the
int8 grid (`quantised.used_parameters`): the exported file holds the bytes that training computed
with.  Validation figures come from that integer forward pass too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from keras import ops
from numpy.typing import NDArray

from tinyse.audio import pools
from tinyse.audio.corpora import Corpus, corpus_of_recipe
from tinyse.audio.feed import Batches, Feed
from tinyse.audio.lists import MixtureList, lists_of_recipe
from tinyse.errors import TinySEError
from tinyse.files import atomic_file, read_bytes, read_json, sha256, write_json, write_text
from tinyse.network import backend
from tinyse.network.build import Parameters, shapes
from tinyse.network.masked import masked_parameters
from tinyse.network.precision import find_cpu_calls, products_in
from tinyse.network.quantised import used_parameters
from tinyse.network.tensors import Tensor
from tinyse.recipe import Network, Recipe, level_name, settings_of, to_toml
from tinyse.run_folder import clear_run, level_folder, refuse_taken, same_run
from tinyse.sparsity.budget import Curve, scan
from tinyse.sparsity.graph import spaces
from tinyse.sparsity.groups import Weights
from tinyse.sparsity.offline import prune_offline
from tinyse.sparsity.permute import permute
from tinyse.sparsity.shrink import shrink
from tinyse.training import calibrate, checkpoint
from tinyse.training.checkpoint import Progress
from tinyse.training.choosing import Chooser, part_of, without_thresholds
from tinyse.training.compress_step import (
    Fixed,
    Knobs,
    Step,
    forward_pass,
    make_compress_step,
    of_what_stays,
)
from tinyse.training.interrupts import ctrl_c_between_steps
from tinyse.training.levels import Level, levels
from tinyse.training.logbook import Clock, Tell, Told, event_files, pace, preparing
from tinyse.training.losses import Batch, batch_loss
from tinyse.training.provenance import provenance
from tinyse.training.source import Source, Teacher
from tinyse.training.step import MOST_OVERFLOWS, State
from tinyse.training.validation import Validation

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

_SCANNED = 4  # batches that every half is tried on


def train_compressed(
    recipe: Recipe,
    weights: Path,
    data: Path,
    run: Path,
    resume: bool = False,
    force: bool = False,
    tell: Tell = lambda told: None,
    teachers: Sequence[Path] = (),
) -> dict:
    """Compress the network in `weights` (a weights.npz) as `recipe.compress` says, into `run`.

    teachers : weights of the networks whose mean mask is followed, if it is not that one's

    Returns the contents of `run.json`.  Raises InputError, and writes nothing, for a sparsity or a
    structure that the network cannot have; TinySEError if a level ends short of its sparsity.
    `resume` and `force` are those of `loop.train`.
    """
    source = Source.read(weights)
    teachers = teachers or (weights,)
    taught_by = [source.taught_by(path) for path in teachers]
    recipe = msgspec.structs.replace(recipe, network=source.network)
    find_cpu_calls(recipe.train.precision)  # refused before anything is written
    corpus = corpus_of_recipe(recipe.data, data)
    valid = lists_of_recipe(recipe.data, data)
    first, *others = map(sha256, teachers)
    shas = {
        "source_sha256": sha256(weights),
        "teacher_sha256": [first, *others] if others else first,
    }
    record = provenance(recipe, corpus, valid) | shas
    if resume:
        same_run(run / "run.json", record, force)
    else:
        refuse_taken(run, force)
    # It may still refuse, so nothing is written before.
    going = _Compression(recipe, source, taught_by, corpus, valid, run, resume, tell)
    if not resume:
        clear_run(run)
    write_json(run / "run.json", record)
    write_text(run / "recipe.toml", to_toml(recipe))
    going.go(tell)
    record |= going.finish()
    write_json(run / "run.json", record)
    return record


class _Compression:
    """One process' share of a run: from the last checkpoint to the end."""

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        teachers: Sequence[Teacher],
        corpus: Corpus,
        valid: list[MixtureList],
        run: Path,
        resume: bool,
        tell: Tell,
    ) -> None:
        self._recipe, self._settings, self._run = recipe, settings_of(recipe), run
        self._source, self._teachers, self._levels = source, teachers, levels(self._settings)
        self._chooser = Chooser(self._settings, self._levels, source.parameters, {})
        self._pools = pools.decode(corpus, tell=preparing(tell, "recordings decoded"))
        last = run / "state" / "last.npz"
        if resume and last.exists():
            wanted = shapes(recipe.network)
            self._state, self._progress, fixed = checkpoint.take_up(last, wanted, ("steering",))
            self._chooser.take_up(self._levels, fixed)
            source.weights |= part_of(fixed, "source")
        else:
            self._begin(tell)
        self._of_teachers = [
            {key: ops.convert_to_tensor(value) for key, value in each.parameters.items()}
            for each in teachers
        ]
        self._overflows = 0
        self._compiled: dict[tuple[bool, bool, bool], Step] = {}
        bits = self._settings.weight_bits
        used = partial(used_parameters, recipe.network, source.activations, bits=bits)
        self._used = backend.compiled(used if self._settings.int8 else masked_parameters)
        masks_of = forward_pass(recipe, source.activations)

        def heard(given: tuple[Parameters, Parameters], frames: Tensor) -> Tensor:
            with products_in(recipe.train.precision):
                return masks_of(*given, frames)

        statistics = source.normalisation
        rendered = preparing(tell, "validation rows rendered")
        self._validations = [
            Validation(recipe.network, mixtures, statistics, heard, rendered) for mixtures in valid
        ]

    def _begin(self, tell: Tell) -> None:
        """Step 0: what the matrices read, and units in a good order for blocks."""
        source, chooser = self._source, self._chooser
        first, _ = calibrate.STEPS
        with self._feed(first, first + 1) as feed:
            (batch,) = feed
        chooser.energy = source.energies(batch)
        sparsest = max(level.sparsity for level in self._levels)
        if self._settings.permute and chooser.structure.kind == "block" and sparsest:
            energy = chooser.energy
            source.weights, _ = permute(source.weights, chooser.structure, sparsest, energy=energy)
            chooser.energy = source.energies(batch)
        curves = self._scan(tell) if self._settings.share_by == "scan" else None
        chooser.share_out(self._levels, source.parameters, curves)
        self._state, self._progress = State.fresh(source.parameters), Progress()

    def _scan(self, tell: Tell) -> dict[str, Curve]:
        """What each half loses alone, in dB of the loss, on batches no training sees."""
        recipe, source = self._recipe, self._source
        statistics = source.statistics

        def of_batch(parameters: Mapping[str, Tensor], batch: Batch) -> Tensor:
            with products_in(recipe.train.precision):
                return batch_loss(recipe.network, recipe.loss, parameters, batch, *statistics)

        compiled = backend.compiled(of_batch)
        first, _ = calibrate.STEPS
        with self._feed(first, first + _SCANNED) as feed:
            batches = list(feed)

        def loss(weights: Weights) -> float:
            return float(np.mean([float(compiled(weights, batch)) for batch in batches]))

        dense = loss(source.parameters)
        structure, tried = self._chooser.structure, preparing(tell, "gate halves tried alone")
        return scan(
            source.parameters, structure, prune_offline, lambda w: loss(w) - dense, tell=tried
        )

    def _feed(self, first: int, last: int) -> Feed:
        train, mixing = self._recipe.train, self._recipe.mixing
        batches = Batches(self._pools, mixing, train.seed, train.batch, train.frames, first, last)
        return Feed(batches)

    def go(self, tell: Tell) -> None:
        """Every step that is left."""
        progress, train = self._progress, self._recipe.train
        last = len(self._levels) * self._settings.steps
        self._forget_lines_after(progress.step)
        clock = Clock(train.batch * train.frames)
        with (
            ctrl_c_between_steps() as check,
            self._feed(progress.step, last) as feed,
            event_files(self._run) as events,
        ):
            for batch in feed:
                number, step = divmod(progress.step, self._settings.steps)
                level, done = self._levels[number], step + 1
                loss = self._advance(level, step, batch)
                progress.step += 1
                progress.loss_sum += loss
                progress.counted += 1
                clock.step(feed.waited_s, progress)
                mean = progress.loss_sum / progress.counted
                tell(Told(progress.step, last, loss, mean, progress.best, clock.frames_per_s))
                if done % self._settings.validate_every == 0 or done in (level.freeze, level.steps):
                    self._validate(level, done, events, clock, check)
                if done == level.steps:
                    self._end_level(level)
                if done == level.steps or progress.step % train.save_every == 0:
                    self._save("last")
                check()

    def _advance(self, level: Level, step: int, batch: Batch) -> float:
        """One step and what is decided before it; its loss."""
        chooser = self._chooser
        if step == 0:
            self._state = State.fresh(chooser.begin(level, self._state.parameters))
            self._progress.best, self._progress.best_epoch = -math.inf, -1
        parameters = chooser.update(level, step, self._state.parameters)
        self._state = self._state._replace(parameters=parameters)
        if level.selects and step == level.freeze:
            self._state = of_what_stays(State(*map(without_thresholds, self._state)), chooser.masks)
        selects = chooser.selects(level, step)
        penalty = chooser.penalty if selects else 0.0
        rate, of_thresholds = level.learning_rate(step), level.threshold_rate(step)
        knobs = Knobs(step + 1, rate, penalty, level.slope(step), of_thresholds)
        fixed = Fixed(masks=chooser.masks, teachers=self._of_teachers)
        compiled = self._step(selects, step < level.distilled, step >= level.freeze)
        state, loss, norm = compiled(tuple(self._state), batch, fixed, knobs.arrays())
        loss = float(loss)
        self._overflows = 0 if math.isfinite(float(norm)) else self._overflows + 1
        if not math.isfinite(loss) or self._overflows == MOST_OVERFLOWS:
            raise self._no_number(f"the loss is {loss} and its gradient {float(norm):g}")
        self._state = State(*state)
        return loss

    def _no_number(self, what: str) -> TinySEError:
        remedy = "lower compress.learning_rate; state/last.npz is the last good state"
        return TinySEError(f"{what} at step {self._progress.step}", self._run, remedy)

    def _step(self, selects: bool, distils: bool, frozen: bool) -> Step:
        """The compiled step of a phase, compiled when it is first asked for."""
        phase = selects, distils, frozen
        if phase not in self._compiled:
            source, selection = self._source, self._chooser.selection() if selects else None
            teachers = self._teachers if distils else ()
            self._compiled[phase] = make_compress_step(
                self._recipe, source.activations, source.statistics, selection, teachers, frozen
            )
        return self._compiled[phase]

    def _validate(
        self,
        level: Level,
        done: int,
        events: SummaryWriter,
        clock: Clock,
        check: Callable[[], None],
    ) -> None:
        """A line of the log; from the freeze on, the best state of the level is kept."""
        progress, chooser, fixed = self._progress, self._chooser, done > level.freeze
        parameters = without_thresholds(self._state.parameters)
        given = parameters, chooser.masks
        gains = [each.si_sdr_gain(given, check) for each in self._validations]
        gain = sum(gains) / len(gains)
        # No best state of the level could be told from that of the level before.
        if not math.isfinite(gain):
            raise self._no_number(f"the validation gain is {gain}")
        line = {
            "level": level.sparsity,
            "step": progress.step,
            "loss": progress.loss_sum / progress.counted,
            "valid_si_sdr_gain": gain,
            **{
                f"si_sdr_gain_{each.name}": of_list
                for each, of_list in zip(self._validations, gains, strict=True)
            },
            "sparsity": chooser.sparsity(),
            "sparsity_target": level.target(done),
            "sparsity_before_cut": chooser.before_cut if fixed else None,
            "penalty": chooser.penalty,
            "learning_rate": level.learning_rate(done - 1),
            "frames_per_s": round(clock.frames_per_s),
            "waiting_share": round(progress.waited_s / max(progress.seconds, 1e-9), 4),
            "seconds": round(progress.seconds, 1),
        }
        log = self._run / "log.jsonl"
        write_text(log, log.read_text("utf-8") + json.dumps(line) + "\n")
        for key in ("loss", "valid_si_sdr_gain", "sparsity", "penalty", "learning_rate"):
            events.add_scalar(key, line[key], progress.step)
        progress.loss_sum, progress.counted = 0.0, 0
        if fixed and gain > progress.best:
            progress.best, progress.best_epoch = gain, progress.step
            self._save("best")
        clock.restart()

    def _forget_lines_after(self, step: int) -> None:
        """A killed run may have logged what its last checkpoint does not know of."""
        log = self._run / "log.jsonl"
        lines = log.read_text("utf-8").splitlines(keepends=True) if log.exists() else []
        write_text(log, "".join(line for line in lines if json.loads(line)["step"] <= step))

    def _save(self, name: str) -> None:
        source = {f"source/{key}": value for key, value in self._source.parameters.items()}
        fixed = self._chooser.arrays() | source
        checkpoint.save(self._run / "state" / f"{name}.npz", self._state, self._progress, fixed)

    def _end_level(self, level: Level) -> None:
        """Writes the level's run: recipe.toml, run.json, weights.npz."""
        self._chooser.refuse_short(level, self._run)
        best = checkpoint.load(self._run / "state" / "best.npz")[0].parameters
        weights = self._exported(best)
        recipe = msgspec.structs.replace(
            self._recipe,
            name=f"{self._recipe.name}-{level_name(level.sparsity)}",
            network=_shape(self._recipe.network, weights),
        )
        folder = level_folder(self._run, level.sparsity)
        with atomic_file(folder / "weights.npz") as file:
            np.savez_compressed(file, **weights)  # type: ignore[arg-type]  # no key is called allow_pickle
        write_text(folder / "recipe.toml", to_toml(recipe))
        write_json(folder / "run.json", self._result(level))

    def _exported(self, parameters: Parameters) -> dict[str, NDArray]:
        """The arrays of a weights.npz: what the integer forward pass computed with."""
        source, chooser = self._source, self._chooser
        used = self._used(parameters, chooser.masks)
        # What a mask takes out may be a zero with a sign, which the file would keep: + 0 drops it.
        weights = source.weights | {name: np.asarray(value) + 0 for name, value in used.items()}
        if not self._settings.int8:
            with self._feed(*calibrate.STEPS) as feed:
                statistics = source.normalisation
                weights |= calibrate.ranges(self._recipe.network, used, feed, statistics)
        return shrink(weights, chooser.units())[0]

    def _result(self, level: Level) -> dict:
        progress, chooser = self._progress, self._chooser
        return {
            "schema": 1,
            "method": self._settings.method if level.selects else None,
            "structure": str(chooser.structure),
            "int8": self._settings.int8,
            "sparsity_asked": level.sparsity,
            "sparsity_before_cut": chooser.before_cut if level.selects else 0.0,
            "sparsity": chooser.sparsity(),
            "shares": chooser.shares(),
            "best_step": progress.best_epoch,
            "valid_si_sdr_gain": progress.best,
        }

    def finish(self) -> dict:
        """Make the last level's weights and shape the run's; what `run.json` says of the end."""
        folders = [level_folder(self._run, level.sparsity) for level in self._levels]
        with atomic_file(self._run / "weights.npz") as file:
            file.write(read_bytes(folders[-1] / "weights.npz"))
        with np.load(folders[-1] / "weights.npz") as arrays:
            network = _shape(self._recipe.network, dict(arrays))
        recipe = msgspec.structs.replace(self._recipe, network=network)
        write_text(self._run / "recipe.toml", to_toml(recipe))
        progress, train = self._progress, self._recipe.train
        frames = progress.step * train.batch * train.frames
        return {
            "steps": progress.step,
            "frames": frames,
            "levels": [read_json(folder / "run.json") for folder in folders],
            "valid_si_sdr_gain": progress.best,
            **pace(frames, progress),
        }


def _shape(network: Network, weights: Weights) -> Network:
    """The table with the widths that the weights have."""
    return network.resized({name: space.size for name, space in spaces(weights).items()})
