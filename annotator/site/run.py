"""`make run`: everything PrefLoop needs on one machine, under one process manager.

Checks the machine, makes the secret key, migrates, creates the demo in an empty database, then
starts Redis, web, workers and beat. Ctrl-C ends all of it. Output goes to var/log/.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import secrets
import shlex
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from annotator.site import servers

ROOT = Path(__file__).resolve().parents[2]
FREE_MB_NEEDED = 300
LOG_BYTES = 5_000_000
HELP = """\
Usage: make run            (or: python -m annotator.site.run)

Starts PrefLoop on this machine and prints its address. Ctrl-C ends every process.

Environment:
  HOST          address to listen on                       127.0.0.1
  PORT          port to listen on                          8000
  DATABASE_URL  another database than var/db.sqlite3       postgres://user:password@host/name
  REDIS_URL     another Redis than the one started here    redis://host:6379/0
  MODEL         the generator: embedded name, folder with safetensors, or .gguf file
  PREFLOOP_VAR  where everything is kept                   var/
"""


class CannotRun(Exception):
    """Something about this machine is in the way; the message is one clear line."""


def main(arguments: list[str]) -> int:
    if arguments:
        sys.stdout.write(HELP)
        return 0 if arguments[0] in ("-h", "--help") else 2
    began = time.monotonic()
    var = Path(os.environ.get("PREFLOOP_VAR") or ROOT / "var").resolve()
    try:
        host, port = os.environ.get("HOST") or "127.0.0.1", port_number(os.environ.get("PORT") or "8000")
        check_packages(ROOT / "requirements.txt")
        lock = prepare_folder(var)
        check_port(host, port)
        os.environ.update(PREFLOOP_VAR=str(var), DJANGO_SETTINGS_MODULE="annotator.site.settings")
        allow_host(host)
        first_start()
        with lock:
            return serve(host, port, var, began)
    except CannotRun as problem:
        sys.stderr.write(f"PrefLoop cannot start: {problem}\n")
    except OSError as error:
        sys.stderr.write(f"PrefLoop cannot start: {error.strerror or error} ({error.filename or var})\n")
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        return 130
    return 1


def port_number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CannotRun(f"PORT={text} is not a port number (1 to 65535).")
    return int(text)


def check_packages(requirements: Path) -> None:
    """Every pinned package is there in its version, or one line says which is not."""
    for line in requirements.read_text().splitlines():
        name, equal, pinned = line.partition("==")
        if not equal or name.startswith(("#", " ")):
            continue
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            raise CannotRun(f"the Python module {name} is missing. Install it with `make install`.") from None
        if found != pinned.partition(" ")[0]:
            raise CannotRun(f"{name} is {found}, not {pinned}. Install it with `make install`.")


def prepare_folder(var: Path) -> IO[str]:
    """Make var/, its key and its lock; check the room on its disk. The lock is held while it is open."""
    (var / "log").mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(var).free // 1_000_000
    if free < FREE_MB_NEEDED:
        raise CannotRun(f"only {free} MB are free on the disk of {var}; {FREE_MB_NEEDED} MB are needed.")
    lock = (var / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise CannotRun(f"it already runs from {var} (process {lock.read() or 'unknown'}).") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    key = var / "secret_key"
    if not key.exists():
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    return lock


def check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotRun(
                f"{host}:{port} is not to be had ({error.strerror}). Try `make run PORT={port + 1}`."
            ) from error


def allow_host(host: str) -> None:
    """Answer to the name that one listens on: all of this machine's for 0.0.0.0."""
    if "ALLOWED_HOSTS" not in os.environ and host not in ("127.0.0.1", "localhost", "::1"):
        names = ["*"] if host in ("0.0.0.0", "::") else [host, "localhost", "127.0.0.1"]  # noqa: S104
        os.environ["ALLOWED_HOSTS"] = ",".join(names)


def first_start() -> None:
    """Migrate, and make the demo where there is nothing yet."""
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import CommandError, call_command
    from django.db.utils import DatabaseError

    try:
        django.setup()
        logging.getLogger("rlhf.runs").setLevel(logging.ERROR)  # that the broker is not up yet is no news
        call_command("first_start", stdout=io.StringIO())  # the accounts are printed with the address
    except (CommandError, ImproperlyConfigured, DatabaseError) as error:
        raise CannotRun(" ".join(str(error).split())) from error


def serve(host: str, port: int, var: Path, began: float) -> int:
    """Start every process, say where the site is, and stay until the end."""
    from honcho.manager import Manager

    manager = Manager(printer=LogFiles(var / "log"))
    for name, command in processes(host, port, var).items():
        manager.add_process(name, "exec " + shlex.join(command), cwd=str(ROOT))
    threading.Thread(target=announce, args=(address(host, port), var, began), daemon=True).start()
    manager.loop()
    code = int(manager.returncode or 0)
    sys.stdout.write("Stopped.\n" if code in (0, 130, 143) else "Stopped after an error; see var/log/.\n")
    return 0 if code in (130, 143) else code


def processes(host: str, port: int, var: Path) -> dict[str, list[str]]:
    """Name and command of each process; all but the web server are started again when they die."""
    keep = [sys.executable, "-m", "annotator.site.keep"]
    found = {
        "web": [*keep, *servers.web_command(host=host, port=port)],
        "light": [*keep, *servers.worker_command("light")],
        "model": [*keep, *servers.worker_command("model")],
        "refit": [*keep, *servers.worker_command("refit")],
        "beat": [*keep, *servers.beat_command()],
    }
    if not os.environ.get("REDIS_URL"):
        found["redis"] = [*keep, *servers.redis_command(var)]
    return found


def address(host: str, port: int) -> str:
    """Where a browser on this machine finds the site."""
    names = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "::1"}  # noqa: S104
    return f"http://{servers.netloc(names.get(host, host), port)}/"


def announce(address: str, var: Path, began: float) -> None:
    """Print the address as soon as a page comes back from it."""
    probe = urllib.request.Request(f"{address}login/")
    for _ in range(300):
        try:
            urllib.request.urlopen(probe, timeout=5).close()
            break
        except urllib.error.HTTPError:
            break  # it answers: a host that is not allowed here is one all the same
        except OSError:
            time.sleep(0.1)
    else:
        sys.stderr.write(f"The site does not answer; see {var / 'log' / 'web.log'}\n")
        return
    lines = ["", f"  PrefLoop runs at {address}  (after {time.monotonic() - began:.1f} s)"]
    accounts = var / "demo_accounts.txt"
    if accounts.exists():
        lines += ["", *(f"    {line}" for line in accounts.read_text().splitlines())]
        lines += ["", f"  The accounts are kept in {accounts}"]
    lines += [f"  Logs are in {var / 'log'}", "  Ctrl-C ends it.", "", ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()


class LogFiles:
    """Honcho's printer: a file for each process, and only what went wrong on the terminal."""

    width = 0
    ending = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, IO[bytes]] = {}

    def write(self, message: Any) -> None:
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        file = self.file(message.name)
        file.write(data)
        file.flush()
        if file.tell() > LOG_BYTES:
            file.close()
            del self.files[message.name]
        self.ending |= message.name == "system" and b" received" in data
        if self.ending:
            return  # what workers say when Redis ends with them is no news
        if b" ERROR " in data or b" CRITICAL " in data or data.startswith(b"keep: "):
            sys.stderr.write(f"{message.name}: {data.decode(errors='replace')}")

    def file(self, name: str) -> IO[bytes]:
        """The log of one process; a full one is put aside as .1 first."""
        if name not in self.files:
            path = self.folder / f"{name}.log"
            if path.exists() and path.stat().st_size > LOG_BYTES:
                path.replace(path.with_suffix(".log.1"))
            self.files[name] = path.open("ab")
        return self.files[name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
