"""`python -m docs.generate`, whose options the package's docstring explains."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from docs.generate import ROOT, pages
from docs.generate.ceilings import write_ceilings
from docs.generate.collect import collect
from docs.generate.cost import write_costs
from docs.generate.firmware import write_firmware
from docs.generate.heard import write_heard
from docs.generate.profiles import write_profiles
from docs.generate.results import BASELINE, FIRST, PUBLISHED
from docs.generate.taught import write_taught


def main(check: bool) -> int:
    """Write what is out of date, or only say it; 1 where `check` finds something."""
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    for path, text in stale:
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text, "utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    if "--costs" in sys.argv[1:]:
        write_costs(ROOT)
    if "--firmware" in sys.argv[1:]:
        write_firmware(ROOT)
    if "--profiles" in sys.argv[1:]:
        write_profiles(ROOT, Path(os.environ["TINYSE_DATA"]))
    if "--ceilings" in sys.argv[1:]:
        write_ceilings(ROOT, Path(os.environ["TINYSE_DATA"]))
    if "--collect" in sys.argv[1:]:
        collect(Path(sys.argv[sys.argv.index("--collect") + 1]), ROOT)
    if "--taught" in sys.argv[1:]:
        write_taught(ROOT, Path(os.environ["TINYSE_DATA"]), [*PUBLISHED], BASELINE, FIRST)
    if "--heard" in sys.argv[1:]:
        data = Path(os.environ["TINYSE_DATA"])
        write_heard(ROOT, data, Path(sys.argv[sys.argv.index("--heard") + 1]))
    sys.exit(main("--check" in sys.argv[1:]))
