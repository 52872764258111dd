"""The tests of selections and folders once more, on PostgreSQL: its cursors, its lock, its time zones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.real
@pytest.mark.timeout(600)
def test_exports_are_the_same_on_postgres(postgres_url):
    files = [str(HERE / name) for name in ("test_selection.py", "test_export.py", "test_formats.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env={**os.environ, "DATABASE_URL": postgres_url},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
