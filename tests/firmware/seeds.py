"""Good blobs for the fuzzer to damage: `python -m tests.firmware.seeds FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.network_maker import integer_network, small_network
from tests.sparse_networks import by_magnitude, cut_network
from tinyse.pack.coded import code
from tinyse.pack.format import Layout
from tinyse.pack.native import pack


def write_seeds(folder: Path) -> None:
    """Plain blobs in every layout, dense and sparse, one with a front end, and coded ones."""
    sparse = cut_network(integer_network((13,), (6,), 21, 10), by_magnitude(4, 4, 0.7))
    networks = {"dense": small_network(), "sparse": sparse, "audio": integer_network((5,), ())}
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        for layout in Layout:
            blob = pack(network, layout)
            (folder / f"{name}_{layout.name.lower()}.tsb").write_bytes(blob.data)
            if layout is not Layout.LANES:
                (folder / f"{name}_{layout.name.lower()}_coded.tsb").write_bytes(code(blob))


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]))
