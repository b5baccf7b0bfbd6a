"""Plans that several files sweep, and what reads their tables."""

from __future__ import annotations

import csv

GRID = """
schema = 1
name = "grid"
command = "compress"
source = "small"

[set]
"compress.method" = "offline"
"compress.permute" = false
"compress.resolve" = false

[keys]
"compress.structure" = ["weight", "block:4x4"]
"compress.levels" = [[0.5], [0.75], [0.9]]
"""
HALVING = """
schema = 1
name = "halving"
command = "train"
source = "small.toml"
strategy = "halving"
trials = 9

[halving]
least_steps = 10
factor = 3

[keys]
"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"train.seed" = [1, 2, 3]
"""
CASES = """
schema = 1
name = "cases"
command = "compress"
source = "small"

[set]
"compress.method" = "offline"
"compress.levels" = [0.5]

[cases]
"as it is" = {}
"blocks in order" = { "compress.permute" = false }
"single weights" = { "compress.structure" = "weight", "compress.levels" = [0.75] }
"""


def rows_of(folder) -> list[dict]:
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))
