"""docs/commands.md: the help of every command, as the command line prints it."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.testing import CliRunner

from tinyse.cli import COMMANDS, main

HEAD = """\
# Commands

Written by `python -m docs.generate` from the help texts; `tinyse COMMAND --help` says the same.

Shared habits: results go to stdout, progress and notices to stderr. `--json` prints one JSON
document and nothing else. `NO_COLOR` is respected. No question is ever asked. Nothing that exists
is replaced without `--force`; the demo's own output folder is the exception. Every option can be
given as an environment variable, `TINYSE_COMMAND_OPTION` (`TINYSE_DATA_CHECK_WORKERS`); only
`--data` has one for all commands, `TINYSE_DATA`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | a check failed, a run fell short (its folder stays), or who reads stdout hung up |
| 2 | bad input: one line on stderr says what, where and what to do; nothing was written |
| 3 | something optional is not installed: the line names the command that installs it |
| 130 | stopped by Ctrl-C |
"""


def all_commands() -> Iterator[tuple[str, ...]]:
    """Every command's words after `tinyse`, groups before what they hold."""
    for name in COMMANDS:
        yield (name,)
        command = main.get_command(click.Context(main), name)
        if isinstance(command, click.Group):
            yield from ((name, inner) for inner in command.list_commands(click.Context(command)))


def find_command(words: tuple[str, ...]) -> click.Command:
    """The command that those words name."""
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None, words
        command = found
    return command


def commands_page() -> str:
    """The text of docs/commands.md."""
    sections = [HEAD, _section(())]
    sections += [_section(words) for words in all_commands()]
    return "\n".join(sections)


def _section(words: tuple[str, ...]) -> str:
    done = CliRunner().invoke(
        main, [*words, "--help"], prog_name="tinyse", terminal_width=80, color=False
    )
    assert done.exit_code == 0, words
    return f"## {' '.join(('tinyse', *words))}\n\n```text\n{done.stdout.rstrip()}\n```\n"
