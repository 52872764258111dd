"""Claims, runs and snapshots once more, on PostgreSQL with its row locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.real
def test_runs_do_the_same_on_postgres(postgres_url: str):
    files = [str(HERE / name) for name in ("test_execution.py", "test_runs.py", "test_snapshots.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env={**os.environ, "DATABASE_URL": postgres_url},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
