"""One run of a sweep: trained or compressed, exported, counted, scored; its row written last."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyse.errors import InputError, MachineFault, MissingExtra, ResumeRefused, TinySEError
from tinyse.files import read_bytes, read_json, write_json
from tinyse.sweep.measures import Measuring
from tinyse.sweep.plan import Plan, resolved, source_of
from tinyse.sweep.study import Judge, settings
from tinyse.sweep.table import read_row

ROW = "row.json"


@dataclass(frozen=True)
class Job:
    """What every run of a sweep shares; it travels to the worker.

    beside : folder of SWEEP.toml; folder : the sweep's; data : the corpus'
    alone : whether runs come one after another, each with all cores
    """

    plan: Plan
    beside: Path
    folder: Path
    data: Path | None
    alone: bool = False


class _Stopped(Exception):
    """Raised through a training loop to end it: the study has seen enough."""


def run_trial(job: Job, number: int) -> dict[str, Any]:
    """Run number `number`, or what is left of it; returns and writes its row.

    What ends one run (a loss that is not a number, a sparsity the network cannot have) is its row's
    `error`, and the sweep goes on; a missing package ends the sweep, and so does a fault of the
    machine, which is no matter of the run's settings, and a run that cannot go on here as what it
    was begun as.
    """
    run = job.folder / "runs" / f"{number}"
    if (run / ROW).exists():
        return read_row(run / ROW)
    chosen = settings(job.plan, job.folder, number)
    row: dict[str, Any] = {"number": number, "state": "done", **chosen}
    try:
        row |= _trained(job, run, chosen, number)
    except _Stopped:
        row |= {"state": "stopped"} | _last_validation(run)
    except (MachineFault, MissingExtra, ResumeRefused):
        raise
    except TinySEError as error:
        row |= {"state": "failed", "error": str(error)}
    if row["state"] == "done":
        row |= _measured(job, run)
    write_json(run / ROW, row)
    return row


def _measured(job: Job, run: Path) -> dict[str, Any]:
    """Figures of the run's files; what the machine is to blame for ends the sweep, not the run."""
    measuring = Measuring.of(job.plan, job.beside, job.data, None if job.alone else 1)
    try:
        found = measuring.run(run)
    except MachineFault:
        raise
    except InputError as error:
        return {"state": "failed", "error": str(error)}
    if "levels" in found:
        records = read_json(run / "run.json")["levels"]
        for level, record in zip(found["levels"], records, strict=True):
            level |= _of_each_list(run / "log.jsonl", record)
    return found


def _trained(job: Job, run: Path, chosen: dict[str, str], number: int) -> dict[str, Any]:
    plan, begun = job.plan, (run / "run.json").exists()
    record = read_json(run / "run.json") if begun else {}
    if (run / "weights.npz").exists() and {"seconds", "solved_again"} & set(record):
        pass  # finished, and killed while it was measured
    elif plan.command == "train":
        record = _train(job, run, chosen, number, begun)
    else:
        record = _compress(job, run, chosen, number, begun)
    found = {key: record[key] for key in ("valid_si_sdr_gain", "steps", "seconds") if key in record}
    last = record["levels"][-1] if record.get("levels") else None
    found |= _of_each_list(run / "log.jsonl", last)
    return found | ({"sparsity": last["sparsity"]} if last else {})


def _train(job: Job, run: Path, chosen: dict[str, str], number: int, begun: bool) -> dict[str, Any]:
    from tinyse.training.loop import train

    assert job.data is not None  # `sweep` has seen to it
    recipe = resolved(job.plan, job.beside, chosen)
    # What lies there and was not begun is what a kill has left.
    return train(recipe, job.data, run, begun, not begun, _teller(job, run, number))


def _compress(
    job: Job, run: Path, chosen: dict[str, str], number: int, begun: bool
) -> dict[str, Any]:
    from tinyse.compress import compress

    source, overrides = source_of(job.plan, job.beside), job.plan.overrides(chosen)
    settings = resolved(job.plan, job.beside, chosen).compress
    offline = settings is not None and settings.method == "offline"
    resume = begun and not offline
    _, record = compress(
        source, overrides, job.data, run,
        resume=resume, force=not resume, tell=_teller(job, run, number),
    )  # fmt: skip
    return record


def _teller(job: Job, run: Path, number: int) -> Callable[[Any], None]:
    """Called after every step; at every new validation it asks the study."""
    if job.plan.strategy != "halving":
        return lambda told: None
    judge, log = Judge(job.plan, job.folder, number), run / "log.jsonl"
    seen = 0

    def tell(_: object) -> None:
        nonlocal seen
        size = log.stat().st_size if log.exists() else 0
        if size == seen:
            return
        seen = size
        for line in _validations(log)[-1:]:
            if judge.stops(line["step"], line["valid_si_sdr_gain"]):
                raise _Stopped

    return tell


def _validations(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_bytes(log).splitlines()] if log.exists() else []


def _of_each_list(log: Path, level: dict[str, Any] | None = None) -> dict[str, Any]:
    """Gains of the validation that a run, or a level of it, was kept for, list by list."""
    lines = _validations(log)
    if level is not None:  # before its choice was fixed, the network was another one
        lines = [line for line in lines if line["step"] == level.get("best_step")]
    best = max(lines, key=lambda line: line["valid_si_sdr_gain"], default={})
    return {key: gain for key, gain in best.items() if key.startswith("si_sdr_gain_")}


def _last_validation(run: Path) -> dict[str, Any]:
    """Best validation and last step of a run that was stopped; of a compression the last one."""
    lines = _validations(run / "log.jsonl")
    if "sparsity" in lines[-1]:  # what was better before was another network, of fewer zeros
        lines = lines[-1:]
    best = max(line["valid_si_sdr_gain"] for line in lines)
    return {"valid_si_sdr_gain": best, "steps": lines[-1]["step"]}
