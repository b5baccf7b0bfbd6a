"""The one seam between the training core and the tensor library Keras runs on.

The core is written in `keras.ops`.  What `keras.ops` cannot say the same way on every backend
stands in two files with the same functions, and this one takes the file of the active backend
(`KERAS_BACKEND`, TensorFlow unless set):

    time_loop(body, carry, inputs, reverse=False) -> carry, outputs
    gathered(table, index)              without looking after indices that lie outside
    compiled(function)                  whole-step compilation (XLA)
    value_and_gradient(function)        of the first argument, a dict of arrays

`keras.ops.scan` will not do for the loop: on TensorFlow it demands that an output looks like the
carry.
"""

from __future__ import annotations

from tinyse.errors import InputError
from tinyse.network.keras_import import import_keras

NAME = import_keras().backend.backend()

if NAME == "tensorflow":
    from tinyse.network.on_tensorflow import (
        compiled,
        gathered,
        threads,
        time_loop,
        value_and_gradient,
    )
elif NAME == "jax":
    from tinyse.network.on_jax import (
        compiled,
        gathered,
        threads,
        time_loop,
        value_and_gradient,
    )
else:
    raise InputError(f"is {NAME}", "KERAS_BACKEND", "use tensorflow or jax")

__all__ = ["NAME", "compiled", "gathered", "threads", "time_loop", "value_and_gradient"]
