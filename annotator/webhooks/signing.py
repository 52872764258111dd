"""Signatures by the Standard Webhooks specification (v1): HMAC-SHA256 over "id.timestamp.body".

No secret is stored: it comes of the site's own key and the webhook's salt, so that a copy of the database
signs nothing. Changing it makes a new salt; for a day the old secret signs beside the new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotator.models import Webhook

PREFIX = "whsec_"
BOTH_COUNT = timedelta(days=1)


def new_salt() -> str:
    return secrets.token_hex(16)


def secret_of(salt: str) -> str:
    """The secret as receivers configure it: `whsec_` and base64 of its 32 bytes."""
    return PREFIX + base64.b64encode(_key(salt)).decode()


def rotate(webhook: Webhook) -> str:
    """Give it another secret; the present one signs as well for a day. The new secret."""
    webhook.former_salt, webhook.former_until = webhook.salt, timezone.now() + BOTH_COUNT
    webhook.salt = new_salt()
    webhook.save(update_fields=["salt", "former_salt", "former_until"])
    return secret_of(webhook.salt)


def headers(webhook: Webhook, event_id: str, at: datetime, body: str) -> dict[str, str]:
    """The three headers by which a receiver knows who sends, what, and when."""
    seconds = str(int(at.timestamp()))
    salts = [webhook.salt]
    if webhook.former_salt and webhook.former_until and webhook.former_until > at:
        salts.append(webhook.former_salt)
    signed = f"{event_id}.{seconds}.{body}".encode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{_sign(_key(salt), signed)}" for salt in salts),
    }


def _key(salt: str) -> bytes:
    return salted_hmac("prefloop.webhooks", salt, algorithm="sha256").digest()


def _sign(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
