"""Data in, data out: rows a second and peak memory of importing and of exporting, against the limits.

    python bench/import_export.py                  100,000 tasks in, 1,000,000 rankings out
    python bench/import_export.py --json figures.json

`import_load.py` and `export_load.py` do the two and run alone too. Each is measured in a process of its own,
on an SQLite database that is gone afterwards. Limits, on two cores: 100,000 tasks with the search for near
duplicates in 5 minutes and 1 GB; 1,000,000 rankings in 2 minutes and 300 MB. Ends with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from subprocess import run
from typing import Any

HERE = Path(__file__).resolve().parent
FIGURES = ("import_rows_per_s", "import_peak_mb", "export_rows_per_s", "export_peak_mb")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000, help="to import")
    parser.add_argument("--rankings", type=int, default=1_000_000, help="to export")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    figures = {
        **load("import_load.py", "--tasks", options.tasks),
        **load("export_load.py", "--rankings", options.rankings),
    }
    if options.json:
        found = {name: round(figures[name], 1) for name in FIGURES}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    limits = [
        ("import", 100_000 / 300, 1024),
        ("export", 1_000_000 / 120, 300),
    ]
    missed = False
    for name, rows, megabytes in limits:
        speed, peak = figures[f"{name}_rows_per_s"], figures[f"{name}_peak_mb"]
        within = speed >= rows and peak <= megabytes
        missed = missed or not within
        print(
            f"{name}: {speed:,.0f} rows a second (at least {rows:,.0f}), "
            f"peak {peak:,.0f} MB (at most {megabytes:,}): {'within' if within else 'NOT within'} the limits"
        )
    return int(missed)


def load(script: str, option: str, number: int) -> dict[str, Any]:
    """Run one of the two; its figures."""
    with tempfile.TemporaryDirectory(prefix="prefloop-figures-") as folder:
        path = Path(folder) / "figures.json"
        run([sys.executable, str(HERE / script), option, str(number), "--json", str(path)], check=True)
        found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
