"""The audit log and the admin's lists once more, on PostgreSQL with its own triggers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.real
@pytest.mark.timeout(300)
def test_the_audit_log_does_the_same_on_postgres(postgres_url):
    files = [str(HERE / name) for name in ("test_audit.py", "admin/test_lists.py", "test_periods.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env={**os.environ, "DATABASE_URL": postgres_url},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
