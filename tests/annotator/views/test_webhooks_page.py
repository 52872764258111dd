"""The pages of a project's webhooks."""

import re

import pytest

from annotator.models import Webhook, WebhookDelivery
from annotator.webhooks import keeping, signing

pytestmark = pytest.mark.django_db
URL = "/projects/support/settings/webhooks/"


@pytest.fixture
def page(client, alice, settings):
    settings.WEBHOOK_HOSTS = ["hooks.example.org"]
    client.force_login(alice)
    return client


@pytest.fixture
def webhook(page, project, alice):
    return keeping.make(
        project=project, url="https://hooks.example.org/a", wanted=["run.finished"], by=alice
    )[0]


def secrets_in(response):
    return set(re.findall(r"whsec_[\w+/=]+", response.content.decode()))


def test_a_webhook_is_made_and_its_secret_shown_once(page, project):
    data = {"url": "https://hooks.example.org/a", "events": ["run.finished"]}
    shown = page.post(URL, data)
    row = Webhook.objects.get()
    assert (row.url, row.events, row.project) == (data["url"], ["run.finished"], project)
    assert secrets_in(shown) == {signing.secret_of(row.salt)}
    for later in (page.get(URL), page.get(f"{URL}{row.pk}/")):
        assert not secrets_in(later) and "hooks.example.org/a" in later.content.decode()
    assert project.events.filter(verb="made a webhook").exists()


@pytest.mark.parametrize(
    "wrong", [{"url": ""}, {"url": "https://evil.example.org/"}, {"events": []}, {"events": ["all"]}]
)
def test_what_is_wrong_makes_none(page, wrong):
    response = page.post(URL, {"url": "https://hooks.example.org/", "events": ["run.finished"], **wrong})
    assert response.status_code == 400 and not Webhook.objects.exists()


def test_without_allowed_hosts_it_says_so(page, settings):
    settings.WEBHOOK_HOSTS = []
    text = page.get(URL).content.decode()
    assert "WEBHOOK_HOSTS" in text and 'name="url"' not in text


def test_its_buttons(page, webhook):
    def press(what):
        response = page.post(f"{URL}{webhook.pk}/change/", {"do": what})
        if what != "delete":
            webhook.refresh_from_db()
        return response

    press("off")
    assert not webhook.is_active
    press("on")
    assert webhook.is_active
    old = signing.secret_of(webhook.salt)
    shown = press("rotate")
    assert secrets_in(shown) == {signing.secret_of(webhook.salt)} != {old}
    assert "no-store" in shown["Cache-Control"]
    press("test")
    assert WebhookDelivery.objects.get().event == "webhook.test"
    press("nonsense")
    assert webhook.is_active
    press("delete")
    assert not Webhook.objects.exists() and not WebhookDelivery.objects.exists()


def test_the_log_shows_what_was_sent_and_sends_it_again(page, webhook):
    delivery = keeping.test(webhook)
    attempt = {
        "at": "2026-01-01T00:00:00Z",
        "status": None,
        "error": "<b>refused</b>",
        "seconds": 1.5,
        "answer": "",
    }
    WebhookDelivery.objects.update(state="failed", attempts=[attempt])
    text = page.get(f"{URL}{webhook.pk}/").content.decode()
    assert "webhook.test" in text and "&lt;b&gt;refused" in text and "<b>refused" not in text
    page.post(f"{URL}{webhook.pk}/deliveries/{delivery.pk}/again/")
    delivery.refresh_from_db()
    assert delivery.state == "waiting" and len(delivery.attempts) == 1
