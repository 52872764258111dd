"""The tests of the queue, of decisions and of invitations once more, on PostgreSQL with its row locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.real
@pytest.mark.timeout(300)
def test_the_queue_does_the_same_on_postgres(postgres_url):
    names = (
        "test_queue.py",
        "test_submit.py",
        "test_dealing.py",
        "test_concurrency.py",
        "test_adjudication.py",
        "test_asking.py",
        "../test_invitations.py",
    )
    files = [str(HERE / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *files],
        env={**os.environ, "DATABASE_URL": postgres_url},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
