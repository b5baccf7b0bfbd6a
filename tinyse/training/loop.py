"""A run: steps, validation, checkpoints, a log line an epoch, and the weights at the end.

A run folder holds `recipe.toml` (resolved), `run.json`, `log.jsonl`, `events/` (TensorBoard),
`state/last.npz`, `state/best.npz` and, when it is done, `weights.npz`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinyse.audio import pools
from tinyse.audio.corpora import Corpus, corpus_of_recipe
from tinyse.audio.feed import Batches, Feed
from tinyse.audio.lists import MixtureList, lists_of_recipe
from tinyse.errors import TinySEError
from tinyse.features import Normalisation
from tinyse.files import atomic_file, write_json, write_text
from tinyse.network.build import Parameters, initial_parameters, shapes
from tinyse.network.precision import find_cpu_calls
from tinyse.recipe import Recipe, to_toml
from tinyse.run_folder import clear_run, refuse_taken, same_run
from tinyse.training import calibrate, checkpoint
from tinyse.training.checkpoint import Progress
from tinyse.training.interrupts import ctrl_c_between_steps
from tinyse.training.logbook import Clock, Tell, Told, event_files, pace, preparing
from tinyse.training.provenance import provenance
from tinyse.training.step import MOST_OVERFLOWS, State, learning_rate, make_step
from tinyse.training.validation import Validation

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    resume: bool = False,
    force: bool = False,
    tell: Tell = lambda told: None,
) -> dict:
    """Train `recipe` on the corpus in folder `data` into the folder `run`.

    Returns the contents of `run.json`.  With `resume`, goes on from `state/last.npz` as if it had
    never stopped; a run made with another recipe, other data or another backend is refused
    (InputError) unless `force`.
    """
    find_cpu_calls(recipe.train.precision)  # refused before anything is written
    corpus = corpus_of_recipe(recipe.data, data)
    valid = lists_of_recipe(recipe.data, data)
    record = provenance(recipe, corpus, valid)
    if resume:
        same_run(run / "run.json", record, force)
    else:
        refuse_taken(run, force)
    going = _Run(recipe, corpus, valid, run, resume, tell)  # reads all audio: before any write
    if not resume:
        clear_run(run)
    write_json(run / "run.json", record)
    write_text(run / "recipe.toml", to_toml(recipe))
    going.go(tell)
    record |= going.finish()
    write_json(run / "run.json", record)
    return record


class _Run:
    """One process' share of a run: from the last checkpoint to the end."""

    def __init__(
        self,
        recipe: Recipe,
        corpus: Corpus,
        valid: list[MixtureList],
        run: Path,
        resume: bool,
        tell: Tell,
    ) -> None:
        self._recipe, self._train, self._run = recipe, recipe.train, run
        self._overflows = 0
        self._pools = pools.decode(corpus, tell=preparing(tell, "recordings decoded"))
        last = run / "state" / "last.npz"
        if resume and last.exists():
            wanted = shapes(recipe.network)
            self._state, self._progress, fixed = checkpoint.take_up(last, wanted, ("mean", "std"))
            self._normalisation = Normalisation(fixed["mean"], fixed["std"])
        else:
            self._state = State.fresh(initial_parameters(recipe.network, self._train.seed))
            self._progress = Progress()
            self._normalisation = calibrate.normalisation(self._calibration_batches())
        rendered = preparing(tell, "validation rows rendered")
        self._validations: list[Validation[Parameters]] = [
            Validation(recipe.network, mixtures, self._normalisation, tell=rendered)
            for mixtures in valid
        ]

    @property
    def _steps(self) -> int:
        return self._train.steps_per_epoch * self._train.epochs

    def _feed(self, first: int, last: int) -> Feed:
        train, mixing = self._train, self._recipe.mixing
        batches = Batches(self._pools, mixing, train.seed, train.batch, train.frames, first, last)
        return Feed(batches)

    def _calibration_batches(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        with self._feed(*calibrate.STEPS) as feed:
            yield from feed

    def go(self, tell: Tell) -> None:
        """Every step that is left, unless validation stops getting better before."""
        progress, train = self._progress, self._train
        self._forget_lines_after(progress.step // train.steps_per_epoch)
        if self._stopped_early():
            return
        mean, std = self._normalisation.mean, self._normalisation.std
        step = make_step(self._recipe, mean, std)
        clock = Clock(train.batch * train.frames)
        with (
            ctrl_c_between_steps() as check,
            self._feed(progress.step, self._steps) as feed,
            event_files(self._run) as events,
        ):
            for batch in feed:
                number = np.asarray(progress.step + 1, np.float32)
                rate = np.asarray(learning_rate(train, progress.step), np.float32)
                state, loss, norm = step(tuple(self._state), batch, number, rate)
                loss = float(loss)
                self._overflows = 0 if math.isfinite(float(norm)) else self._overflows + 1
                if not math.isfinite(loss):
                    raise self._no_number(f"the loss is {loss}")
                if self._overflows == MOST_OVERFLOWS:
                    raise self._no_number(f"no gradient of {MOST_OVERFLOWS} steps was finite")
                self._state = State(*state)
                progress.step += 1
                progress.loss_sum += loss
                clock.step(feed.waited_s, progress)
                done = progress.step % train.steps_per_epoch
                tell(self._told(loss, clock))
                if done == 0:
                    self._end_epoch(events, clock, check)
                if done == 0 or done % train.save_every == 0:
                    self._save("last")
                if done == 0 and self._stopped_early():
                    break
                check()

    def _told(self, loss: float, clock: Clock) -> Told:
        progress = self._progress
        done = (progress.step - 1) % self._train.steps_per_epoch + 1
        mean = progress.loss_sum / done
        return Told(progress.step, self._steps, loss, mean, progress.best, clock.frames_per_s)

    def _no_number(self, what: str) -> TinySEError:
        step, seed = self._progress.step, self._train.seed
        remedy = "lower train.learning_rate; state/last.npz is the last good state"
        return TinySEError(f"{what} at step {step} (seed {seed})", self._run, remedy)

    def _stopped_early(self) -> bool:
        epochs = self._progress.step // self._train.steps_per_epoch
        return epochs - 1 - self._progress.best_epoch >= self._train.patience

    def _end_epoch(self, events: SummaryWriter, clock: Clock, check: Callable[[], None]) -> None:
        progress, train = self._progress, self._train
        epoch = progress.step // train.steps_per_epoch - 1
        gains = [each.si_sdr_gain(self._state.parameters, check) for each in self._validations]
        gain = sum(gains) / len(gains)
        if not math.isfinite(gain):  # the epoch's last step lost the parameters
            raise self._no_number(f"the validation gain is {gain}")
        line = {
            "epoch": epoch,
            "step": progress.step,
            "loss": progress.loss_sum / train.steps_per_epoch,
            "valid_si_sdr_gain": gain,
            **{
                f"si_sdr_gain_{each.name}": g
                for each, g in zip(self._validations, gains, strict=True)
            },
            "learning_rate": learning_rate(train, progress.step - 1),
            "frames_per_s": round(clock.frames_per_s),
            "waiting_share": round(progress.waited_s / max(progress.seconds, 1e-9), 4),
            "seconds": round(progress.seconds, 1),
        }
        log = self._run / "log.jsonl"
        write_text(log, log.read_text("utf-8") + json.dumps(line) + "\n")
        for key in ("loss", "valid_si_sdr_gain", "learning_rate", "frames_per_s"):
            events.add_scalar(key, line[key], progress.step)
        progress.loss_sum = 0.0
        if gain > progress.best:
            progress.best, progress.best_epoch = gain, epoch
            self._save("best")
        clock.restart()

    def _forget_lines_after(self, epochs: int) -> None:
        """A killed run may have logged an epoch that its last checkpoint does not know of."""
        log = self._run / "log.jsonl"
        lines = log.read_text("utf-8").splitlines(keepends=True) if log.exists() else []
        write_text(log, "".join(lines[:epochs]))

    def _save(self, name: str) -> None:
        fixed = {"mean": self._normalisation.mean, "std": self._normalisation.std}
        path = self._run / "state" / f"{name}.npz"
        checkpoint.save(path, self._state, self._progress, fixed)

    def finish(self) -> dict:
        """Write `weights.npz` from the best checkpoint; returns what `run.json` says of the end."""
        best = self._run / "state" / "best.npz"
        parameters = checkpoint.load(best)[0].parameters
        batches = list(self._calibration_batches())
        network = self._recipe.network
        # In the order of the forward pass: JAX gives dicts back in that of the alphabet.
        parameters = {name: parameters[name] for name in shapes(network)}
        weights = parameters | {
            "features/mean": self._normalisation.mean,
            "features/std": self._normalisation.std,
            "floor/gains": calibrate.fixed_filter(batches),
        }
        weights |= calibrate.ranges(network, parameters, batches, self._normalisation)
        for index in range(len(network.lstm)):
            weights[f"lstm_{index}/cell_clip"] = np.asarray(network.cell_clip, np.float32)
        with atomic_file(self._run / "weights.npz") as file:
            np.savez(file, **weights)
        progress = self._progress
        frames = progress.step * self._train.batch * self._train.frames
        return {
            "steps": progress.step,
            "frames": frames,
            "best_epoch": progress.best_epoch,
            "valid_si_sdr_gain": progress.best,
            **pace(frames, progress),
        }
