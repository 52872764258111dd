"""A PostgreSQL of the tests' own: a throw-away cluster that nobody else can reach, ended with the block."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 30.0


class NoPostgres(RuntimeError):
    """There is no PostgreSQL server on this machine."""


def postgres_binaries() -> Path:
    """The folder with `initdb` and `postgres`, the newest version first."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres"):
        return Path(on_path).resolve().parent
    raise NoPostgres("no PostgreSQL server found: apt-get install postgresql")


@contextmanager
def postgres(database: str = "prefloop", *, durable: bool = False) -> Iterator[str]:
    """Start a server on a free port of 127.0.0.1, and give the DATABASE_URL of an empty database.

    Without `durable` it does not wait for the disk, which is faster.
    """
    binaries = postgres_binaries()
    folder = Path(tempfile.mkdtemp(prefix="prefloop-pg-"))
    password = secrets.token_hex(16)
    try:
        secret = folder / "password"
        secret.write_text(password)
        for path in (folder, secret):
            _give_to_owner(path)
        _run(
            [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "prefloop", "--no-sync"],
            ["-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale", "C"],
        )
        port = _free_port()
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on" if durable else "off"),
            "max_connections": 60,
            "shared_buffers": "64MB",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [*_as_owner(), str(binaries / "postgres"), "-D", str(folder / "data"), *settings]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(process, port, folder / "log")
            environment = {**os.environ, "PGPASSWORD": password}
            _run(
                [str(binaries / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "prefloop", database],
                env=environment,
            )
            yield f"postgres://prefloop:{password}@127.0.0.1:{port}/{database}"
        finally:
            _stop(folder / "data", process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_owner() -> list[str]:
    """PostgreSQL refuses to run as root; its Debian package makes the user `postgres`."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def _give_to_owner(path: Path) -> None:
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            raise NoPostgres("PostgreSQL does not run as root, and there is no user “postgres”") from None
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _run(*words: list[str], **options: object) -> None:
    command = [*_as_owner(), *(word for some in words for word in some)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60, **options)
    if done.returncode:
        raise RuntimeError(f"{words[0][0]} failed: {done.stderr.strip()}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")
        if "ready to accept connections" in log.read_text(errors="replace"):
            return
        time.sleep(0.05)


def _stop(data: Path, process: subprocess.Popen[bytes]) -> None:
    """End the server itself (the process that we started may be `runuser`), at once."""
    if process.poll() is None:
        postmaster = int((data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, 3)  # SIGQUIT: nothing in it is worth a tidy end
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
