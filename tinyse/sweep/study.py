"""Which settings come next, and which runs stop early: Optuna's samplers and pruner.

The study lives in Optuna's journal, a file that is appended to under a lock, so that workers on
other machines can report to it.  All trials are begun before the first one runs: a sweep that was
killed finds them again, with their settings.  Trial n is a function of (seed, n).
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyse.errors import InputError, MissingExtra
from tinyse.files import read_bytes
from tinyse.sweep.plan import Plan, Span, as_toml
from tinyse.sweep.table import STATES

if TYPE_CHECKING:
    import optuna
    from optuna.storages.journal import JournalFileOpenLock

JOURNAL = "study.journal"
_SEEDS = 100_003  # trials of neighbouring seeds differ
# What Optuna raises for lines that are not its own, or that are not there any more.
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)


def library() -> Any:
    """Optuna, quiet; MissingExtra without it."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtra("optuna", "sweep") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def begin(plan: Plan, folder: Path) -> list[int]:
    """The numbers of all trials; what is not begun yet is."""
    optuna = library()
    study = open_study(plan, folder)
    choices = plan.choices()
    grid = list(itertools.product(*choices.values())) if plan.strategy == "grid" else None
    count = plan.trials if grid is None else len(grid)
    assert count is not None  # `read_plan` asks for trials where it is not a grid
    waiting = optuna.trial.TrialState.WAITING
    while (number := sum(trial.state != waiting for trial in study.trials)) < count:
        if grid is not None and number == len(study.trials):  # else a kill left it in the queue
            # In the plan's order: what matters most can stand first.
            study.enqueue_trial(dict(zip(choices, grid[number], strict=True)))
        study.sampler = _sampler(plan, number)
        trial = study.ask()
        for key, values in plan.keys.items():
            _suggest(trial, key, values, choices)
    # One that was begun but killed before its last key was drawn has keys missing.
    for frozen in study.trials:
        study.sampler = _sampler(plan, frozen.number)
        trial = optuna.trial.Trial(study, frozen._trial_id)
        if not frozen.state.is_finished():
            for key, values in plan.keys.items():
                if (drawn := frozen.distributions.get(key)) is not None:
                    study.sampler.sample_independent(study, frozen, key, drawn)  # in its turn again
                _suggest(trial, key, values, choices)
    return list(range(count))


def _sampler(plan: Plan, number: int) -> optuna.samplers.BaseSampler:
    """What draws the keys of one trial, one after another."""
    seed = (plan.seed * _SEEDS + number) % 2**32
    return library().samplers.RandomSampler(seed=seed)


def _suggest(
    trial: optuna.Trial, key: str, values: list[Any] | Span, choices: dict[str, list[str]]
) -> None:
    if not isinstance(values, Span):
        trial.suggest_categorical(key, choices[key])
    elif isinstance(values.low, int) and isinstance(values.high, int):
        trial.suggest_int(key, values.low, values.high, log=values.log)
    else:
        trial.suggest_float(key, values.low, values.high, log=values.log)


def open_study(plan: Plan, folder: Path) -> optuna.Study:
    """The sweep's study, in this process; made where there is none.

    A last line that a kill or a full disk has cut off goes; InputError for any other damage.
    """
    optuna = library()
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    lock = JournalFileOpenLock(str(path))
    _drop_cut_line(path, lock)
    try:
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=lock)),
            study_name=plan.name,
            direction="maximize",
            load_if_exists=True,
            pruner=_pruner(plan),
        )
    except _DAMAGED as error:
        remedy = "remove it: runs that are done stay, and settings come out as they were"
        if plan.strategy == "halving":
            remedy += ", but what earlier runs reported stops no later one"
        raise InputError(f"is damaged ({type(error).__name__})", path, remedy) from error


def _drop_cut_line(path: Path, lock: JournalFileOpenLock) -> None:
    """Cut the journal at its last line end: whatever came behind would be joined to that line."""
    if not _is_cut(path):
        return
    lock.acquire()  # it may be that another is writing the line, and then it is whole now
    try:
        if _is_cut(path):
            data = read_bytes(path)
            os.truncate(path, data.rfind(b"\n") + 1)
    finally:
        lock.release()


def _is_cut(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    optuna = library()
    if plan.strategy != "halving":
        return optuna.pruners.NopPruner()
    halving = plan.halving
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=halving.least_steps, reduction_factor=halving.factor
    )


def settings(plan: Plan, folder: Path, number: int) -> dict[str, str]:
    """Key -> value as TOML, of one trial."""
    frozen = open_study(plan, folder).trials[number]
    choices = plan.choices()
    return {
        key: frozen.params[key] if key in choices else as_toml(frozen.params[key])
        for key in plan.keys
    }


class Judge:
    """Reports the validations of one run to the study and says whether it is worth its time."""

    def __init__(self, plan: Plan, folder: Path, number: int) -> None:
        optuna = library()
        study = open_study(plan, folder)
        frozen = study.trials[number]
        self._trial = optuna.trial.Trial(study, frozen._trial_id)
        self._told = set(frozen.intermediate_values)

    def stops(self, step: int, gain: float) -> bool:
        """Whether to stop after a validation `gain` at `step`."""
        if step not in self._told:  # a resumed run validates again what it reported
            self._told.add(step)
            self._trial.report(gain, step)
        return self._trial.should_prune()


def settle(plan: Plan, folder: Path, rows: list[dict[str, Any]]) -> None:
    """Tell the study of the runs that are done and that it does not know of."""
    states = library().trial.TrialState
    study = open_study(plan, folder)
    open_ones = {t.number for t in study.trials if not t.state.is_finished()}
    kinds = dict(zip(STATES, (states.COMPLETE, states.PRUNED, states.FAIL), strict=True))
    for row in rows:
        if row["number"] not in open_ones:
            continue
        state, value = kinds[row["state"]], row.get("valid_si_sdr_gain", row.get("sdr_gain"))
        if state is states.COMPLETE and value is None:
            state = states.FAIL  # offline without a list: there is nothing to compare
        study.tell(row["number"], value if state is states.COMPLETE else None, state)
