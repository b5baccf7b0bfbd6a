"""The errors a user can cause or meet, and the exit code each one ends a command with.

Every message is one line that says *where* (file, key or argument), *what* is wrong and
*what to do*.  Anything else that escapes a command is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class TinySEError(Exception):
    """Base of all errors that are not bugs; ends a command with `exit_code`.

    Parameters
    ----------
    what : what is wrong, with the expected and the found value
    where : the file, key or argument it was found in
    remedy : what to do about it
    """

    exit_code = 1

    def __init__(self, what: str, where: object = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        message = what if where is None else f"{where}: {what}"
        super().__init__(_one_line(message if remedy is None else f"{message}; {remedy}"))

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with the joined message alone; workers send errors home.
        return type(self), (self.what, self.where, self.remedy)


def _one_line(text: str) -> str:
    """`text` with line breaks, escapes and halves of characters, as names may hold, written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class CheckFailed(TinySEError):
    """A check that was asked for did not hold (exit 1)."""

    exit_code = 1


class InputError(TinySEError):
    """A file, key or argument cannot be used (exit 2); nothing was written."""

    exit_code = 2


class MachineFault(TinySEError):
    """The machine or its files failed, not what was asked of them (exit 1 unless it says another).

    One run of many that meets it says nothing about its settings.
    """


class Unavailable(MachineFault, InputError):
    """A file cannot be read or written, or memory is short (exit 2)."""


class ResumeRefused(InputError):
    """A run was begun as another one than it would go on as (exit 2)."""


class MissingExtra(TinySEError):
    """Something optional is not installed (exit 3)."""

    exit_code = 3

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{package} is not installed", remedy=f"install it with: pip install 'tinyse[{extra}]'"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.extra)
