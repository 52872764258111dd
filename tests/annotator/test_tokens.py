"""Personal tokens: their form, what is stored of them, when they open something."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotator import tokens
from annotator.models import Scope, Token
from annotator.site.logs import without_secrets

pytestmark = pytest.mark.django_db


def test_a_token_is_recognised_and_only_its_hash_is_stored(alice):
    token, text = tokens.make(owner=alice, name="CI", scopes=[Scope.SCORE, Scope.READ])
    assert text.startswith("pl_") and len(text) == 39 and tokens.is_well_formed(text)
    assert text not in str(Token.objects.filter(pk=token.pk).values().get())
    assert token.scopes == ["read", "score"]
    assert tokens.find(text) == token
    assert len(token.secret_hash) == 64


def test_a_slip_is_found_out_without_a_query(alice, django_assert_num_queries):
    _, text = tokens.make(owner=alice, name="CI", scopes=[Scope.READ])
    other = text[:10] + ("a" if text[10] != "a" else "b") + text[11:]
    with django_assert_num_queries(0):
        for wrong in (other, text[:-1], text + "0", "", "pl_", "sk_" + text[3:], text.replace("pl_", "pl-")):
            assert tokens.find(wrong) is None


def test_the_checksum_is_the_crc_in_base_62():
    # CRC-32 of "123456789" is 0xCBF43926 = 3421780262 = (((((3*62 + 45)*62 + 35)*62 + 27)*62 + 22)*62 + 14
    assert tokens._check("123456789") == "3jZRME"


def test_states_and_last_use(alice):
    token, text = tokens.make(owner=alice, name="CI", scopes=[Scope.READ], lasts=timedelta(days=1))
    assert token.state == "active"
    tokens.mark_used(token)
    token.refresh_from_db()
    first = token.last_used_at
    assert first is not None
    tokens.mark_used(token)
    token.refresh_from_db()
    assert token.last_used_at == first
    token.expires_at = timezone.now()
    assert token.state == "expired"
    assert tokens.revoke(token) and not tokens.revoke(token)
    assert tokens.find(text).state == "revoked"


def test_nobody_has_more_than_fifty(alice, monkeypatch):
    monkeypatch.setattr(tokens, "MOST", 2)
    kept = [tokens.make(owner=alice, name=str(n), scopes=[Scope.READ])[0] for n in range(2)]
    with pytest.raises(tokens.TooMany):
        tokens.make(owner=alice, name="one more", scopes=[Scope.READ])
    tokens.revoke(kept[0])
    tokens.make(owner=alice, name="in its place", scopes=[Scope.READ])


def test_no_log_keeps_one(alice):
    _, text = tokens.make(owner=alice, name="CI", scopes=[Scope.READ])
    address = f"https://x:{text}@host/"
    line = f'GET /api/?token={text} "Bearer {text}" {address} whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    kept = without_secrets(line)
    assert text not in kept and text[3:12] not in kept and "MfKQ9" not in kept
    assert kept == 'GET /api/?token=pl_… "Bearer pl_…" https://x:pl_…@host/ whsec_…'
    assert without_secrets("pl_short is no token") == "pl_short is no token"
