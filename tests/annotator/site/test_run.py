"""`make run` refuses in one clear line, and what it starts ends with it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annotator.site import run, servers

ROOT = Path(__file__).resolve().parents[3]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("text", ["0", "65536", "web", "", "-1", "80.5"])
def test_it_rejects_a_port_that_is_none(text):
    with pytest.raises(run.CannotRun, match="not a port number"):
        run.port_number(text)


def test_it_names_a_busy_port_and_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(run.CannotRun, match=f"{port}.*PORT={port + 1}"):
            run.check_port("127.0.0.1", port)


def test_it_names_a_missing_module_and_a_wrong_version(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# a comment\ndjango==0.1\n    # via nothing\n")
    with pytest.raises(run.CannotRun, match=r"django is 5.*not 0\.1.*make install"):
        run.check_packages(requirements)
    requirements.write_text("no-such-package==1.0\n")
    with pytest.raises(run.CannotRun, match="no-such-package is missing"):
        run.check_packages(requirements)


def test_it_accepts_what_is_installed():
    run.check_packages(ROOT / "requirements.txt")


def test_it_names_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FREE_MB_NEEDED", 10**12)
    with pytest.raises(run.CannotRun, match="MB are free"):
        run.prepare_folder(tmp_path)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    run.prepare_folder(tmp_path).close()
    key = (tmp_path / "secret_key").read_text()
    assert len(key) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    run.prepare_folder(tmp_path).close()
    assert (tmp_path / "secret_key").read_text() == key


def test_a_second_start_in_one_folder_is_refused(tmp_path):
    with run.prepare_folder(tmp_path), pytest.raises(run.CannotRun, match=f"already runs.*{os.getpid()}"):
        run.prepare_folder(tmp_path)
    run.prepare_folder(tmp_path).close()


def test_without_a_key_it_does_not_boot(tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("DEBUG", "SECRET_KEY")}
    env |= {"PREFLOOP_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "annotator.site.settings"}
    command = [sys.executable, "manage.py", "check"]
    refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "No secret key" in refused.stderr
    allowed = subprocess.run(command, cwd=ROOT, env={**env, "SECRET_KEY": "x" * 50}, capture_output=True)
    assert allowed.returncode == 0


def test_a_long_path_still_gets_a_socket_that_fits():
    deep = Path("/") / "/".join(["folder"] * 30)
    assert len(str(servers.redis_socket(deep))) <= servers.SOCKET_PATH_LIMIT
    assert servers.redis_socket(deep) != servers.redis_socket(deep / "other")
    assert servers.redis_socket(Path("/srv/var")) == Path("/srv/var/redis.sock")


@pytest.fixture
def kept(tmp_path):
    """A kept process that writes its own id, and the id of a child that it starts, to a file."""
    file = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        f"open({str(file)!r}, 'a').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "time.sleep(300)\n"
    )
    keeper = subprocess.Popen(
        [sys.executable, "-m", "annotator.site.keep", sys.executable, "-c", code], cwd=ROOT
    )

    def started():
        lines = file.read_text().splitlines() if file.exists() else []
        return [[int(pid) for pid in line.split()] for line in lines]

    wait_until(started)
    yield keeper, started
    keeper.kill()
    keeper.wait()
    for pids in started():
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_killed_process_is_started_again(kept):
    keeper, started = kept
    os.kill(started()[0][0], signal.SIGKILL)
    wait_until(lambda: len(started()) == 2)
    assert keeper.poll() is None


def test_the_keeper_ends_all_that_it_started(kept):
    keeper, started = kept
    keeper.terminate()
    assert keeper.wait(10) == 0
    wait_until(lambda: not any(alive(pid) for pid in started()[0]))
    assert len(started()) == 1


def test_nothing_outlives_a_killed_parent(tmp_path):
    file = tmp_path / "pids"
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    parent = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-m', 'annotator.site.keep', sys.executable, '-c', {code!r}])\n"
        "time.sleep(300)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT)
    wait_until(lambda: file.exists() and file.read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not alive(int(file.read_text())))
