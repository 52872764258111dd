"""The README's table: `make loop` once for each seed, with the embedded model, as Markdown.

    .venv/bin/python bench/loop.py --seeds 0 1 2 [--json FILE]

Needs `make models`. A seed takes about a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def turn(seed: int, more: list[str]) -> dict[str, Any]:
    """One turn of the loop; what it reported."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "loop.json"
        command = [sys.executable, "manage.py", "loop", "--seed", str(seed), "--output", str(output), *more]
        env = {"SECRET_KEY": "throw-away", "HF_HUB_OFFLINE": "1", **os.environ}
        subprocess.run(command, cwd=ROOT, env=env, stdout=sys.stderr, check=True)
        report: dict[str, Any] = json.loads(output.read_text())
        return report


def row(seed: int, report: dict[str, Any]) -> str:
    reward, policy = report["reward"], report["policy"]
    cells = [
        str(seed),
        str(report["rankings"]),
        f"{reward['accuracy']:.0%} ({reward['low']:.0%} to {reward['high']:.0%})",
        f"{reward['longer']:.0%}",
        f"{reward['human_ceiling']:.0%}",
        f"{policy['steps']}, {policy['kl']:.1f}",
        f"{policy['gold_before']:.3f}",
        f"{policy['gold_after']:.3f}",
        f"{policy['gain']:+.3f} ({policy['low']:+.3f} to {policy['high']:+.3f})",
        f"{report['seconds']['total'] / 60:.1f}",
        str(report["peak_mb"]),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="also write the reports here")
    options, more = parser.parse_known_args()
    reports = {seed: turn(seed, more) for seed in options.seeds}
    names = [
        *("seed", "rankings", "reward model's accuracy", "longer wins", "annotators"),
        *("steps, KL", "gold before", "gold after", "gain", "minutes", "peak MB"),
    ]
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for seed, report in reports.items():
        print(row(seed, report))
    if options.json:
        options.json.write_text(json.dumps({"rows": list(reports.values())}, indent=2) + "\n")


if __name__ == "__main__":
    main()
