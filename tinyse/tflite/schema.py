"""The one place that imports the generated schema with its object API, for writing.

The copy inside `tflite-micro` comes first because whoever runs a file has that package; the one
in `ai-edge-litert` is the same schema, and a test demands the same bytes from both.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from tinyse.errors import MissingExtra

MODULES = (
    "tflite_micro.tensorflow.lite.micro.python.schema_py_generated",
    "ai_edge_litert.schema_py_generated",
)


def schema_module() -> ModuleType:
    """The generated schema; MissingExtra where neither package is installed."""
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # A package that is there but lacks a part of its own is broken, not missing.
            if error.name is None or not name.startswith(error.name.split(".")[0]):
                raise
    raise MissingExtra("tflite-micro", "tflm")


def schema_version(module: ModuleType) -> str:
    """Name and version of the package that holds the schema, for the manifest."""
    from importlib.metadata import version

    package = module.__name__.split(".")[0].replace("_", "-")
    return f"{package} {version(package)}"
