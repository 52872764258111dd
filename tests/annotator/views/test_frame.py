"""What all pages share: signing in, errors, languages, colours, the security policy, tags."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import translation

from annotator.templatetags import pages
from tests.factories import make_user


def test_login_leads_home(client, bob):
    response = client.post(reverse("login"), {"username": "bob", "password": "bob"})
    assert response.url == reverse("home")


def test_a_wrong_password_is_told_and_the_name_kept(client, bob):
    content = client.post(reverse("login"), {"username": "bob", "password": "wrong"}).content.decode()
    assert "do not belong together" in content
    assert 'value="bob"' in content


def test_too_many_attempts_are_locked_out_with_words(client, bob, settings):
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(3):
        response = client.post(reverse("login"), {"username": "bob", "password": "wrong"})
    assert response.status_code == 429
    assert "Too many attempts" in response.content.decode()
    right = client.post(reverse("login"), {"username": "bob", "password": "bob"})
    assert right.status_code == 429
    cache.clear()


def test_logout_wants_a_post(client_of, bob):
    client = client_of(bob)
    assert client.get(reverse("logout")).status_code == 405
    assert client.post(reverse("logout")).url == reverse("login")


def test_missing_and_forbidden_pages_lead_back(client_of, bob, project):
    client = client_of(bob)
    for url, status in (("/nowhere/", 404), (reverse("settings", args=["support"]), 403)):
        response = client.get(url)
        assert response.status_code == status
        assert f'href="{reverse("home")}"' in response.content.decode()


def test_a_failing_page_says_that_nothing_is_lost(client_of, bob, project, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("a failure made for the test")

    monkeypatch.setattr("annotator.views.home.queues_of", fail)
    client = client_of(bob)
    client.raise_request_exception = False
    response = client.get(reverse("home"))
    assert response.status_code == 500
    assert "What you had saved is safe" in response.content.decode()


def test_a_form_without_its_token_is_refused_with_words(bob):
    client = Client(enforce_csrf_checks=True)
    response = client.post(reverse("login"), {"username": "bob", "password": "bob"})
    assert response.status_code == 403
    assert "open too long" in response.content.decode()


def test_the_language_follows_the_browser_and_can_be_switched(client, db):
    assert "登录" in client.get(reverse("login"), headers={"Accept-Language": "zh-CN,zh"}).content.decode()
    client.post(reverse("set_language"), {"language": "en", "next": "/login/"})
    content = client.get(reverse("login"), headers={"Accept-Language": "zh-CN,zh"}).content.decode()
    assert "Sign in" in content
    assert '<html lang="en"' in content


@pytest.mark.parametrize(("theme", "shown"), [("dark", True), ("light", True), ('"><script>', False)])
def test_the_colours_are_in_the_first_answer(client, db, theme, shown):
    client.cookies["theme"] = theme
    content = client.get(reverse("login")).content.decode()
    assert ("data-theme=" in content) is shown
    assert "<script>" not in content


def test_no_page_has_inline_script_or_style(client_of, alice, project):
    client = client_of(alice)
    names = (
        "rank",
        "guidelines",
        "settings",
        "prompts",
        "import",
        "comparisons",
        "members",
        "quality",
        "exports",
    )
    for url in [reverse("home"), *(reverse(name, args=["support"]) for name in names)]:
        response = client.get(url)
        content = response.content.decode()
        assert "default-src 'self'" in response["Content-Security-Policy"]
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", content), url
        for script in re.findall(r"<script([^>]*)>", content):
            assert "src=" in script or 'type="application/json"' in script


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (8.24, "8.2 s"),
        (45, "45 s"),
        (150, "2 min"),
        (5400, "1 h 30 min"),
        (7500, "2 h 5 min"),
        (3 * 86400, "3 days"),
    ],
)
def test_durations(seconds, said):
    assert pages.duration(seconds) == said


def test_percent():
    assert [pages.percent(value) for value in (None, 0, 0.5, 1)] == ["–", "0 %", "50 %", "100 %"]


def test_flags_of_the_site_are_translated_and_others_kept():
    with translation.override("zh-hans"):
        assert pages.flag_label("harmful") == "有害"
        assert pages.flag_label("off topic") == "off topic"


def test_navigation_shows_what_the_role_may_open(client_of, project, alice, bob, dana):
    def entries(user):
        content = client_of(user).get(reverse("guidelines", args=["support"])).content.decode()
        return re.findall(r'href="/projects/support/(\w*)/?"', content.split('class="project-nav"')[1])

    assert set(entries(bob)) == {"", "rank", "guidelines"}
    assert "settings" in entries(alice)
    assert "rank" not in entries(dana)
    assert "members" not in entries(dana)


def test_a_superuser_sees_every_entry(client_of, project):
    root = make_user("root", is_superuser=True)
    content = client_of(root).get(reverse("guidelines", args=["support"])).content.decode()
    assert reverse("settings", args=["support"]) in content
