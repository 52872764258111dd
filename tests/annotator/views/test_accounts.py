"""One's own account, signing up where that is switched on, and the limit on attempts."""

import pytest
from django.urls import reverse

from annotator.models import User
from tests.factories import make_user

LOGIN = "/login/"
PASSWORD = "a-Long-enough-one"
NEW = {"username": "erin", "password1": PASSWORD, "password2": PASSWORD}


def test_nobody_signs_up_by_default(client, db):
    for response in (client.get("/sign-up/"), client.post("/sign-up/", NEW)):
        assert response.status_code == 404
    assert "/sign-up/" not in client.get(LOGIN).content.decode()
    assert not User.objects.exists()


def test_where_sign_up_is_open_it_leads_to_an_empty_home(client, db, settings):
    settings.OPEN_SIGN_UP = True
    assert "/sign-up/" in client.get(LOGIN).content.decode()
    page = client.post("/sign-up/", NEW, follow=True)
    assert page.redirect_chain == [(reverse("home"), 302)]
    assert "invitation link" in page.content.decode()
    assert client.get("/sign-up/").url == reverse("home")


def test_an_account_is_for_who_is_signed_in(client, db):
    for name in ("account", "password-change"):
        assert client.get(reverse(name)).url.startswith(LOGIN)


def test_the_name_is_changed_and_nothing_else(client_of, bob):
    client_of(bob).post(reverse("account"), {"first_name": "Bob B", "username": "root", "is_superuser": "on"})
    bob.refresh_from_db()
    assert (bob.first_name, bob.username, bob.is_superuser) == ("Bob B", "bob", False)


def test_a_new_password_ends_the_sessions_of_other_devices(client_of, bob):
    here, there = client_of(bob), client_of(bob)
    wrong = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert here.post(reverse("password-change"), wrong).status_code == 200
    assert there.get(reverse("home")).status_code == 200
    response = here.post(reverse("password-change"), wrong | {"old_password": "bob"})
    assert response.url == reverse("account")
    assert here.get(reverse("home")).status_code == 200
    assert there.get(reverse("home")).status_code == 302


def attempts(client, count, **headers):
    for number in range(count):
        ip = {"X-Forwarded-For": f"10.0.0.{number}"} if headers.get("forged") else {}
        response = client.post(LOGIN, {"username": "bob", "password": "wrong"}, headers=ip)
    return response


@pytest.mark.parametrize("forged", [False, True])
def test_the_tenth_failure_closes_the_door(client, bob, forged):
    assert attempts(client, 9, forged=forged).status_code == 200
    assert attempts(client, 1, forged=forged).status_code == 429
    right = client.post(
        LOGIN, {"username": "bob", "password": "bob"}, headers={"X-Forwarded-For": "10.9.9.9"}
    )
    assert right.status_code == 429
    make_user("erin")
    assert client.post(LOGIN, {"username": "erin", "password": "erin"}).status_code == 302


@pytest.mark.parametrize(("language", "words"), [("en", "Wait 15 minutes"), ("zh-hans", "15")])
def test_the_closed_door_says_so_in_both_languages(client, bob, language, words):
    attempts(client, 10)
    page = client.post(LOGIN, {"username": "bob", "password": "x"}, headers={"Accept-Language": language})
    content = page.content.decode()
    assert page.status_code == 429
    assert words in content
    assert ("Too many attempts" in content) is (language == "en")
