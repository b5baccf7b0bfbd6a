"""The command line: one thin file per command, imported only when that command is called.

A command parses, calls one function of a room and prints.  Errors of `tinyse.errors` end as one
line on stderr with their exit code, and so does a path that the system refuses; everything else is
a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from tinyse import __version__
from tinyse.errors import InputError, TinySEError

Result = TypeVar("Result")

# Name of the command -> (module under tinyse.cli, help line).  The line stands here so that
# `tinyse --help` imports no command at all.
COMMANDS = {
    "data": ("data", "Make, index and check speech and noise corpora."),
    "train": ("train", "Train a network from a recipe into a run."),
    "compress": ("compress", "Make a trained network sparse and int8 in the same steps."),
    "export": ("export", "Write the int8 .tflite of a run or published model."),
    "inspect": ("inspect", "Sparsity, bytes and multiply-accumulates from a .tflite alone."),
    "profile": ("profile", "Cycles, bytes and energy of a .tflite on a microNPU."),
    "show": ("show", "A microNPU's hardware file, or the names of all."),
    "evaluate": ("evaluate", "Quality of a model or file on a fixed list."),
    "enhance": ("enhance", "Enhance audio files, or raw sound in a pipe, through a runtime."),
    "live": ("live", "Hear a model live: a local page with microphone and spectrograms."),
    "bench": ("bench", "Time and memory of models on every runtime that is there."),
    "check": ("check", "Compare a fresh export with a published model's metrics.json."),
    "report": ("report", "One page about runs: trade-off, layers, sounds, training."),
    "sweep": ("sweep", "Many runs from one file, resumable, one row each."),
    "publish": ("publish", "Make a finished run a published model, measured and with its card."),
    "card": ("card", "Write a published model's card from its metrics.json."),
    "demo": ("demo", "The whole chain on the embedded corpus, with a report page."),
    "firmware": ("firmware", "Copy the C runtime with a packed model into a tree."),
    "doctor": ("doctor", "Say what is missing and how to get it."),
}


# Of an open file without a name: stdout, as whoever writes files names them (`files.atomic_file`).
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _LazyGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f"tinyse.cli.{COMMANDS[name][0]}").command
        _take_environment(command, f"TINYSE_{name.upper()}")
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if not (name in COMMANDS or name.startswith("-") or context.resilient_parsing):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            context.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        _print_any_name()
        parse = super().parse_args

        def parse_all() -> list[str]:
            _refuse_empty(arguments)
            return parse(context, arguments)

        return _in_one_line(context, parse_all)

    def invoke(self, context: click.Context) -> Any:
        invoke = super().invoke
        return _in_one_line(context, lambda: invoke(context))


def _refuse_empty(arguments: list[str]) -> None:
    """InputError for an empty word: as a path it would mean the working folder."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        joined = re.fullmatch("(--[a-z-]+)=", word)
        if joined or not word:
            option = joined[1] if joined else before
            where = option if option.startswith("-") else "an argument"
            raise InputError("is empty", where, "is a variable not set?")


def _print_any_name() -> None:
    """Files have names of any bytes: to print one fails no command that has done its work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _in_one_line(context: click.Context, call: Callable[[], Result]) -> Result:
    """What `call` gives; an error that is no bug of ours ends the program in one line."""
    try:
        return call()
    except TinySEError as error:
        _end(context, error)
    except OSError as error:
        refused = _refused(error)
        if refused is None:
            raise
        _end(context, refused)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        context.exit(130)  # the shell's code; 1 would read as a check that failed
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx else "tinyse"
        click.echo(f"error: {name}: {error.format_message()} See {name} --help", err=True)
        context.exit(error.exit_code)


def _end(context: click.Context, error: TinySEError) -> NoReturn:
    click.echo(f"error: {error}", err=True)
    context.exit(error.exit_code)


def _refused(error: OSError) -> InputError | None:
    """What the system refused, as bad input: a path, or room; None of a pipe and of our bugs.

    Caught here and not where a path is asked for: `Path.exists` raises for a name that is too long
    and for a folder that may not be entered, and is asked in a hundred places.
    """
    if error.errno == errno.EPIPE:
        return None  # click's: who reads stdout has hung up
    if error.filename is not None:
        return InputError(f"cannot be used ({error.strerror})", error.filename, "check the path")
    if error.errno not in _FULL:
        return None
    try:
        sys.stdout.flush()
    except OSError:  # what the buffer still holds must not be written again when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return InputError(f"cannot be written ({error.strerror})", "output", "free some space")


def _take_environment(command: click.Command, prefix: str) -> None:
    """Every option also from PREFIX_OPTION, unless it names a variable of its own.

    click's `auto_envvar_prefix` would go by the names of functions' parameters.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            name = max(option.opts, key=len).lstrip("-")
            option.envvar = f"{prefix}_{name.replace('-', '_').upper()}"
    for name, part in getattr(command, "commands", {}).items():
        _take_environment(part, f"{prefix}_{name.upper()}")


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinyse")
def main() -> None:
    """Make a speech-enhancement network small and fast, and prove it is the same network."""


if __name__ == "__main__":
    sys.exit(main())
