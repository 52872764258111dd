"""Personal tokens: made, shown once, found again by a hash, revoked.

A token is `pl_`, 30 random letters and digits (178 bits), and 6 that are their CRC-32: a scanner for leaked
secrets recognises one without asking the site, and what is none costs no query. Stored is its SHA-256: slow
hashes make short, guessable passwords dear to guess, and there is nothing to guess among 2^178.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from collections.abc import Collection
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from annotator import audit
from annotator.models import Project, Scope, Token, User

PREFIX = "pl_"
RANDOM = 30
CHECK = 6
HINT = len(PREFIX) + 4
MOST = 50
"""Active tokens a person may have."""
USED_EVERY = timedelta(minutes=1)
"""So exactly the last use is known: a write for each request would be dear."""
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


class TooMany(Exception):
    """They have as many tokens as one may have."""


def make(
    *,
    owner: User,
    name: str,
    scopes: Collection[Scope],
    project: Project | None = None,
    lasts: timedelta | None = None,
) -> tuple[Token, str]:
    """A new token, and its text, which nothing can show again. Raises TooMany."""
    now = timezone.now()
    mine = Token.objects.filter(owner=owner, revoked_at=None)
    if mine.filter(Q(expires_at=None) | Q(expires_at__gt=now)).count() >= MOST:
        raise TooMany
    body = "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM))
    text = PREFIX + body + _check(body)
    token = Token.objects.create(
        owner=owner,
        name=name,
        hint=text[:HINT],
        secret_hash=_hash(text),
        scopes=[scope.value for scope in Scope if scope in scopes],
        project=project,
        expires_at=now + lasts if lasts else None,
    )
    details = {"scopes": token.scopes, "expires": token.expires_at}
    audit.record("made a token", project=project, target=token, details=details)
    return token, text


def is_well_formed(text: str) -> bool:
    """Whether it can be a token at all: its form and its checksum."""
    body, check = text[len(PREFIX) : -CHECK], text[-CHECK:]
    return (
        text.startswith(PREFIX)
        and len(body) == RANDOM
        and set(text[len(PREFIX) :]) <= set(_ALPHABET)
        and _check(body) == check
    )


def find(text: str) -> Token | None:
    """The token with this text, in whatever state; None for what is none."""
    if not is_well_formed(text):
        return None
    return Token.objects.select_related("owner", "project").filter(secret_hash=_hash(text)).first()


def mark_used(token: Token) -> None:
    """Note that it is being used, unless that was noted within the last minute."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - USED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)


def revoke(token: Token) -> bool:
    """Let nobody in by it any more; False if it was revoked already."""
    revoked = Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    if revoked:
        audit.record("revoked a token", project=token.project, target=token)
    return bool(revoked)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check(body: str) -> str:
    """The CRC-32 of the random part in base 62, as six characters."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
