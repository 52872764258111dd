"""What docker-compose.yml starts, started without containers: its commands, PostgreSQL and Redis for real."""

import http.cookiejar
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import yaml

from annotator.site import servers
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def substitute(text, variables):
    """Compose's ${NAME:-default} and ${NAME:?message}."""

    def value(match):
        name, operator, rest = match.group(1), match.group(2), match.group(3)
        if variables.get(name):
            return variables[name]
        assert operator == ":-", f"{name} is needed: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, str(text))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until(condition, what, seconds=60.0):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.2)
    return result


def test_it_refuses_to_start_without_secrets():
    environment = OURS["web"]["environment"]
    for name in ("SECRET_KEY", "DATABASE_URL"):
        with pytest.raises(AssertionError, match="is needed"):
            substitute(environment[name], {})
    assert substitute(environment["MODEL"], {}) == "smollm2"


def test_every_process_of_the_design_is_there_once():
    assert set(COMPOSE["services"]) == {
        "database",
        "redis",
        "setup",
        "web",
        "light",
        "model",
        "refit",
        "beat",
    }
    assert all(service["image"] == "prefloop" for service in OURS.values())


def test_what_the_image_copies_exists():
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


@pytest.mark.real
@pytest.mark.timeout(240)
def test_its_services_run_the_loop_on_postgres_and_redis(tmp_path, postgres_url):
    port, redis_port = free_port(), free_port()
    database = psycopg.connect(postgres_url, autocommit=True)
    database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    variables = {"SECRET_KEY": "k" * 50, "DATABASE_PASSWORD": "unused", "MODEL": ""}
    environment = {k: substitute(v, variables) for k, v in OURS["web"]["environment"].items()}
    environment |= {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "MODEL": str(make_tiny_model(tmp_path / "tiny")),
        "PREFLOOP_VAR": str(tmp_path),
    }
    clean = {k: v for k, v in os.environ.items() if k not in ("DJANGO_SETTINGS_MODULE", "DEBUG")}
    env = clean | environment

    def command(name, *more):
        words = [substitute(word, variables) for word in COMPOSE["services"][name]["command"]]
        known = {"python": sys.executable, "redis-server": servers.redis_command(tmp_path)[0]}
        return [known[words[0]], *words[1:], *more]

    def log(name):
        return tmp_path / f"{name}.log"

    with ExitStack() as stack:

        def start(name, *more):
            stack.enter_context(servers.running(command(name, *more), env=env, log=log(name)))

        start("redis", "--port", str(redis_port), "--bind", "127.0.0.1")
        setup = subprocess.run(command("setup"), env=env, cwd=ROOT, capture_output=True, text=True)
        assert setup.returncode == 0, setup.stderr
        password = re.search(r"^\s*manager\s+(\S+)", setup.stdout, re.MULTILINE).group(1)
        start("web", "--port", str(port), "--host", "127.0.0.1")
        for name in ("light", "model", "refit", "beat"):
            start(name)

        address = f"http://127.0.0.1:{port}"
        browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(jar := http.cookiejar.CookieJar())
        )

        def page(path, data=None):
            try:
                with browser.open(address + path, data and urllib.parse.urlencode(data).encode()) as answer:
                    return answer.read().decode()
            except urllib.error.URLError as error:
                if isinstance(error, urllib.error.HTTPError):
                    raise
                return ""

        wait_until(lambda: "csrfmiddlewaretoken" in page("/login/"), "the login page")
        token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
        page(
            "/login/",
            {"username": "manager", "password": password, "csrfmiddlewaretoken": token, "next": "/"},
        )
        assert "Demo: everyday instructions" in page("/")

        def generated():
            row = database.execute("SELECT state, error FROM rlhf_run WHERE kind = 'generation'").fetchone()
            assert row[0] != "failed", row[1]
            return row[0] == "done"

        wait_until(generated, "the demo's first generation", 120)
        prompts, completions = (
            database.execute(f"SELECT count(*) FROM annotator_{table}").fetchone()[0]
            for table in ("prompt", "completion")
        )
        assert prompts >= 96
        assert completions >= prompts
    database.close()
    shutil.rmtree(tmp_path / "tiny")
    for name in ("web", "light", "model", "refit", "beat"):
        assert "Traceback" not in log(name).read_text(errors="replace"), log(name).read_text()[-3000:]
