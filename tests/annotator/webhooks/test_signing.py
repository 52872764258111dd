"""Signatures, checked by a receiver that knows the specification and nothing of ours."""

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
from django.utils import timezone

from annotator.models import Webhook
from annotator.webhooks import signing

pytestmark = pytest.mark.django_db


def verified(secret, headers, body):
    """Whether one of the signatures is right, by https://www.standardwebhooks.com."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{right}" in headers["webhook-signature"].split(" ")


@pytest.fixture
def webhook(project):
    return Webhook.objects.create(project=project, url="https://x", salt=signing.new_salt())


def test_by_the_specifications_own_example(webhook, monkeypatch):
    # The example of the reference libraries of Standard Webhooks.
    secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    monkeypatch.setattr(signing, "_key", lambda salt: base64.b64decode(secret))
    at = timezone.datetime.fromtimestamp(1614265330, tz=timezone.get_default_timezone())
    found = signing.headers(webhook, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_verifies(webhook):
    found = signing.headers(webhook, "evt_1", timezone.now(), "{}")
    secret = signing.secret_of(webhook.salt)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert verified(secret, found, "{}") and not verified(secret, found, "{ }")
    assert not verified(signing.secret_of(signing.new_salt()), found, "{}")
    assert not verified(secret, {**found, "webhook-timestamp": "1"}, "{}")


def test_for_a_day_both_secrets_sign(webhook):
    old = signing.secret_of(webhook.salt)
    new = signing.rotate(webhook)
    webhook.refresh_from_db()
    now = timezone.now()
    found = signing.headers(webhook, "evt_1", now, "{}")
    assert old != new and verified(old, found, "{}") and verified(new, found, "{}")
    later = signing.headers(webhook, "evt_1", now + timedelta(days=1, seconds=1), "{}")
    assert not verified(old, later, "{}") and verified(new, later, "{}")


def test_the_database_alone_signs_nothing(webhook, settings):
    before = signing.secret_of(webhook.salt)
    assert webhook.salt not in before
    settings.SECRET_KEY = "another"
    assert signing.secret_of(webhook.salt) != before
