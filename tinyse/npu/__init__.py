"""What a network costs on an Arm Ethos-U, before there is silicon: cycles, bytes, energy.

    from tinyse.npu import find_target, profile
    profile("model.tflite", find_target("ethos-u55-128", "flash"))["total"]["cycles"]

hardware      NPUs and memories, from `export/hardware/*.toml`
lower         a `.tflite` as NPU operations      (graph, fuse, lower_lstm, operations)
blocks        how operations are cut to fit      (blocks_u85)
cycles        what they take inside the NPU
traffic       what they move, and how long that takes
weights       how weights are stored             (buffering: copied ahead; skipping: empty tiles)
cost          all of it together, in the modes `vela` and `measured`
document      the profile of a file              (what_if: with other numbers or weights)
advice        what would pay
against_vela  the same file through Arm's compiler

Nothing here needs TensorFlow or Vela.  docs/cost_model.md works one layer by hand.
"""

from tinyse.npu.advice import advise
from tinyse.npu.against_vela import compare
from tinyse.npu.cost import MODES
from tinyse.npu.document import profile, ranking
from tinyse.npu.hardware import (
    MEMORIES,
    Target,
    default_memory,
    find_target,
    hardware_names,
    load_hardware,
    load_systems,
)
from tinyse.npu.what_if import changed_target, parse_what_if

__all__ = [
    "MEMORIES",
    "MODES",
    "Target",
    "advise",
    "changed_target",
    "compare",
    "default_memory",
    "find_target",
    "hardware_names",
    "load_hardware",
    "load_systems",
    "parse_what_if",
    "profile",
    "ranking",
]
