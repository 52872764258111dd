"""The tests of imports once more, on PostgreSQL with its row locks and its word for a full disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.real
@pytest.mark.timeout(300)
def test_imports_do_the_same_on_postgres(postgres_url):
    files = [str(HERE / name) for name in ("test_importing.py", "test_given.py", "test_undoing.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env={**os.environ, "DATABASE_URL": postgres_url},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
