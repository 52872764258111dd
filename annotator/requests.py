"""What a request is behind `login_required`, with htmx: for the views' type hints."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from annotator.models import User


class PersonRequest(HttpRequest):
    """A signed-in person's request."""

    user: User
    htmx: HtmxDetails
