"""Requests that may be repeated: with an `Idempotency-Key` a POST is carried out once and answered alike.

Row, deed and answer are one transaction: of two at once the second waits for the first and gets its answer;
of one that fails nothing stays, and it can be tried again with the same key.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.api.problems import Unprocessable
from annotator.models import StoredAnswer

KEPT = timedelta(hours=24)
LONGEST = 255
Post = Callable[..., Any]


class OtherRequest(Unprocessable):
    default_code = "idempotency_key_reused"


class Refusal(Exception):
    """Carries a refusal out of the transaction, so that nothing of it stays."""

    def __init__(self, response: Response) -> None:
        self.response = response


def idempotent(post: Post) -> Post:
    """For a view's `post` that creates. Not for one whose answer has a secret in it: answers are kept."""

    @functools.wraps(post)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return post(view, request, *args, **kwargs)
        if len(key) > LONGEST:
            raise ValidationError(
                _("An Idempotency-Key has at most %(most)d characters.") % {"most": LONGEST}
            )
        mark = fingerprint(request)
        try:
            with transaction.atomic():
                row = _begin(request, key, mark)
                if row.status:
                    return _again(row)
                response = post(view, request, *args, **kwargs)
                if response.status_code >= 400:
                    raise Refusal(response)
                row.status = response.status_code
                row.body = JSONRenderer().render(response.data).decode() if response.data is not None else ""
                row.location = response.get("Location", "")
                row.save(update_fields=["status", "body", "location"])
                return response
        except Refusal as refusal:
            return refusal.response

    once.is_idempotent = True  # type: ignore[attr-defined]  # for the schema
    return once


def fingerprint(request: Request) -> str:
    """What makes two requests the same: method, address and body (of a file what it holds)."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\0".encode())
    if request.content_type.startswith("multipart/"):  # its boundary differs each time
        for name, value in sorted(dict(request.data).items()):
            if name not in request.FILES:
                digest.update(f"{name}={value}\0".encode())
        for name, file in sorted(request.FILES.items()):
            digest.update(f"{name}={file.name}\0".encode())
            for chunk in file.chunks():
                digest.update(chunk)
            file.seek(0)
    else:
        digest.update(request._request.body)
    return digest.hexdigest()


def sweep() -> int:
    """Forget answers that are older than a day; how many."""
    return StoredAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


def _begin(request: Request, key: str, mark: str) -> StoredAnswer:
    """This request's row: new, or with the answer that it has had. Raises OtherRequest."""
    assert request.user.pk is not None  # noqa: S101  IsAuthenticated has seen to it
    mine = StoredAnswer.objects.filter(person=request.user.pk, key=key)
    mine.filter(created_at__lt=timezone.now() - KEPT).delete()
    try:
        with transaction.atomic():
            return StoredAnswer.objects.create(person_id=request.user.pk, key=key, fingerprint=mark)
    except IntegrityError:
        row = mine.get()
    if row.fingerprint != mark:
        raise OtherRequest(_("This Idempotency-Key was used for another request."))
    return row


def _again(row: StoredAnswer) -> HttpResponse:
    response = HttpResponse(row.body, status=row.status, content_type="application/json")
    response["Idempotency-Replayed"] = "true"
    if row.location:
        response["Location"] = row.location
    return response
