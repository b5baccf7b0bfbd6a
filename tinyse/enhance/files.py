"""Audio files and folders in, audio files out: planned and refused whole, then written one by one.

    FILE   -> OUT where OUT names an audio file, else OUT/FILE
    FOLDER -> OUT/... with the folders below it, every audio file

Inputs of other rates or with more channels are converted; what is written is 16 kHz mono.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import realpath
from pathlib import Path

from tinyse.audio.io import FORMATS, audio_below, read_audio, write_audio
from tinyse.enhance.models import Source, find_model, open_source
from tinyse.errors import InputError
from tinyse.tasks import map_tasks


@dataclass(frozen=True)
class Job:
    """One file to read and one to write."""

    source: Path
    target: Path


def plan(inputs: Sequence[Path], output: Path, force: bool = False) -> list[Job]:
    """What is read and written for `inputs`; InputError where it cannot or must not be.

    Every input is decoded once here, so that a bad one ends the command before anything is written.
    """
    if not inputs:
        raise InputError("no input", "enhance", "give audio files or folders")
    jobs = [job for path in inputs for job in _jobs(path, output, alone=len(inputs) == 1)]
    taken: dict[str, Path] = {}
    sources = {realpath(job.source) for job in jobs}  # `Path.resolve` raises for a link to itself
    for job in jobs:
        target = realpath(job.target)
        other = taken.setdefault(target, job.source)
        if other is not job.source:
            what = f"both {other} and {job.source} would become this file"
            raise InputError(what, job.target, "enhance them into two folders")
        if target in sources:
            raise InputError("is input and output", job.target, "write to another place")
        if job.target.exists() and not force:
            raise InputError("already exists", job.target, "give --force to replace it")
    for job in jobs:
        read_audio(job.source)
    return jobs


def _jobs(path: Path, output: Path, alone: bool) -> list[Job]:
    several = path.is_dir() or not alone
    if several and output.suffix.lower() in FORMATS and not output.is_dir():
        what = "a folder" if alone else "several inputs"
        raise InputError(f"is one file for {what}", output, "give a folder")
    if path.is_dir():
        files = audio_below(path)
        if not files:
            raise InputError("holds no audio", path, f"expected {', '.join(FORMATS)} files in it")
        return [Job(file, _target(file, output / file.relative_to(path))) for file in files]
    if alone and output.suffix and not output.is_dir():
        if output.suffix.lower() not in FORMATS:
            what, remedy = f"cannot write {output.suffix!r}", f"use {', '.join(FORMATS)}"
            raise InputError(what, output, f"{remedy}, or make the folder first")
        return [Job(path, output)]
    return [Job(path, _target(path, output / path.name))]


def _target(source: Path, target: Path) -> Path:
    return target if source.suffix.lower() in FORMATS else target.with_suffix(".wav")


def enhance_files(
    jobs: Sequence[Job],
    model: Path | str,
    runtime: str = "tflm",
    workers: int | None = None,
    notices: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Does `jobs`; each file appears whole or not at all.  Conversions go to `notices`."""
    source = Source.of(find_model(model), runtime)
    open_source(source)  # what is wrong with the model is said before any file is touched
    said = map_tasks(partial(_enhance, source), jobs, workers=workers, progress=progress)
    for lines in said:
        for line in lines:
            if notices is not None:
                notices(line)


def _enhance(source: Source, job: Job) -> list[str]:
    said: list[str] = []
    sound = read_audio(job.source, notices=said.append)
    write_audio(job.target, open_source(source).whole(sound), notices=said.append)
    return said
