"""Rate limits: counted together by all processes, told in headers, and never in the way when Redis is."""

import time

import pytest
from django.core.cache import caches
from django.test import Client

from annotator.api import limits
from annotator.site import servers

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_one_window(monkeypatch):
    """The clock stands, so that no test crosses a minute's end."""
    monkeypatch.setattr(limits.time, "time", lambda: 1_000_040.0)  # 60 * 16667 + 20


def test_the_third_of_two_waits(by_token, alice, bob, settings):
    settings.API_LIMITS = {"calls": "2/minute", "scores": "9/minute"}
    call = by_token(alice)
    first = call("get", "me/")
    assert first["RateLimit-Policy"] == '"calls";q=2;w=60'
    assert first["RateLimit"] == '"calls";r=1;t=40'
    assert call("get", "me/").status_code == 200
    third = call("get", "me/")
    assert third.status_code == 429 and third["Content-Type"] == "application/problem+json"
    assert third.json()["code"] == "throttled"
    assert (third["Retry-After"], third["RateLimit"]) == ("40", '"calls";r=0;t=40')
    assert by_token(bob)("get", "me/").status_code == 200, "another's token has its own count"
    assert Client().get("/api/").status_code == 200, "and so has an address"


def test_none_is_none(by_token, alice, settings):
    settings.API_LIMITS = {"calls": "0/minute", "scores": "9/minute"}
    call = by_token(alice)
    assert all("RateLimit" not in call("get", "me/") for _ in range(5))


@pytest.mark.parametrize("wrong", ["10", "10/day", "ten/minute", "-1/minute"])
def test_a_limit_that_is_none_is_named(wrong, settings):
    settings.API_LIMITS = {"calls": wrong}
    with pytest.raises(ValueError, match="600/minute"):
        limits.limit("calls")


def test_without_redis_nobody_is_held_up(by_token, alice, settings, tmp_path):
    settings.CACHES = redis_cache(tmp_path)
    response = by_token(alice)("get", "me/")
    assert response.status_code == 200 and "RateLimit" not in response


@pytest.mark.real
def test_in_redis_processes_count_together(settings, tmp_path, monkeypatch):
    monkeypatch.undo()
    settings.CACHES = redis_cache(tmp_path)
    with servers.running(servers.redis_command(tmp_path), env={}, log=tmp_path / "log"):
        servers.wait_for_socket(servers.redis_socket(tmp_path))
        assert [limits.count("limit:test", 60) for _ in range(3)] == [1, 2, 3]
        other = type(caches["default"])(settings.CACHES["default"]["LOCATION"], settings.CACHES["default"])
        assert other.incr("limit:test") == 4
        limits.count("limit:short", -4)  # kept for a second
        time.sleep(1.2)
        assert limits.count("limit:short", -4) == 1


def redis_cache(folder):
    from annotator.site import settings as site

    return {"default": {**site.CACHES["default"], "LOCATION": servers.direct_url(servers.redis_url(folder))}}
