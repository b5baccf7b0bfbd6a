"""The one place that imports Keras: its backend chosen, its start-up chatter held back.

TensorFlow prints half a dozen lines to file descriptor 2 while it starts, whatever its log level;
they would stand between a user and the one line that matters.  If the import fails, they are said.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from tinyse.errors import InputError, MissingExtra
from tinyse.network.memory import keep_freed_memory

EXTRAS = {"tensorflow": "train", "jax": "jax"}  # backend -> what installs it


def import_keras() -> ModuleType:
    """Keras on the backend of KERAS_BACKEND, TensorFlow unless set; MissingExtra without it.

    Raises InputError for another backend, unless a script has imported Keras on it already.
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in EXTRAS and "keras" not in sys.modules:
        raise InputError(f"is {name}", "KERAS_BACKEND", f"use {' or '.join(EXTRAS)}")
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if name == "jax":
        keep_freed_memory()
    try:
        with _held_back():
            import keras

            if keras.backend.backend() == "tensorflow":
                import tensorflow

                # Looking for devices is the last thing that chatters.
                tensorflow.config.list_physical_devices()
    except ModuleNotFoundError as error:
        package = (error.name or "keras").partition(".")[0]
        raise MissingExtra(package, EXTRAS.get(name, "train")) from error
    return keras


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Keep what is written to file descriptor 2; write it after all if the body raises."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            if failed:
                kept.seek(0)
                os.write(2, kept.read())
