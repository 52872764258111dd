"""The load bench: it drives the real site, through a kill -9, and finds every judgment stored once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.real
def test_nothing_is_lost_or_judged_twice_through_a_kill(tmp_path: Path) -> None:
    output = tmp_path / "load.json"
    command = [sys.executable, str(ROOT / "bench" / "annotation_load.py"), "--comparisons", "900"]
    command += ["--annotators", "2", "--seconds", "2", "--kill", "1", "--json", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = json.loads(output.read_text())["runs"]
    assert (run["annotators"], run["database"], run["comparisons"]) == (2, "sqlite", 900)
    assert run["judgments"] > 0 and run["judgments_per_s"] > 0
    assert (run["errors"], run["twice"], run["lost"], run["kills"]) == (0, 0, 0, 1)
    assert run["claim_p95_ms"] > 0 and run["submit_p95_ms"] > 0
    assert run["server_cpu_ms_per_judgment"] > 0
