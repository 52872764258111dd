"""A whole installation that is gone afterwards: its own var/, database, Redis, workers and beat.

`make loop` and the tests run the real processes with it, beside whatever runs on the machine already.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from annotator.site import servers

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """A throw-away installation; `env` is what its processes see, `logs` where they write."""

    def __init__(self, var: Path, env: dict[str, str], stack: ExitStack) -> None:
        self.var = var
        self.env = env
        self.logs = var / "log"
        self.logs.mkdir(exist_ok=True)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack = stack

    def start(self, name: str, command: list[str]) -> None:
        """Run a process until the site ends, or `stop` is called with its name.

        As under `make run` a keeper starts it again when it dies, and ends it if we die ourselves.
        """
        kept = [sys.executable, "-m", "annotator.site.keep", *command]
        self.processes[name] = self._stack.enter_context(
            servers.running(kept, env=self.env, log=self.logs / f"{name}.log")
        )

    def stop(self, name: str, *, seconds: float = 20.0) -> None:
        servers.stop(self.processes.pop(name), seconds=seconds)

    def start_redis(self) -> None:
        self.start("redis", servers.redis_command(self.var))
        servers.wait_for_socket(servers.redis_socket(self.var))

    def start_worker(self, queue: str) -> None:
        self.start(queue, servers.worker_command(queue))

    def start_beat(self) -> None:
        self.start("beat", servers.beat_command())

    def manage(self, *words: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py to its end."""
        return subprocess.run(
            self.manage_command(*words),
            env=self.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def manage_command(self, *words: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), *words]

    def log(self, name: str) -> str:
        """What a process has written so far."""
        return (self.logs / f"{name}.log").read_text(errors="replace")


@contextmanager
def throwaway(*, models: Path, **env: str) -> Iterator[Site]:
    """Make an empty, migrated installation; nothing is started yet. All of it goes with the block.

    `models` is shared with the installation around it: converting a model takes time.
    """
    var = Path(tempfile.mkdtemp(prefix="prefloop-"))
    settings = {
        "PREFLOOP_VAR": str(var),
        "MODELS_DIR": str(models.resolve()),
        "SECRET_KEY": secrets.token_urlsafe(32),
        "DATABASE_URL": f"sqlite:///{var / 'db.sqlite3'}",
        "DEBUG": "0",
        "DJANGO_SETTINGS_MODULE": "annotator.site.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **env,
    }
    inherited = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "MODEL")}
    try:
        with ExitStack() as stack:
            site = Site(var, {**inherited, **settings}, stack)
            migrated = site.manage("migrate", "--verbosity", "0", timeout=120)
            if migrated.returncode:
                raise RuntimeError(f"migrate failed: {migrated.stderr.strip()}")
            yield site
    finally:
        shutil.rmtree(var, ignore_errors=True)
        servers.redis_socket(var).unlink(missing_ok=True)
