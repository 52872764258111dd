"""From which network address a request comes, also behind proxies: for lock-outs and the audit log."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The address that `PROXIES` proxies of ours, each adding one, were asked from; None if there is none.

    What stands further left in X-Forwarded-For was sent by whoever asked, and is not believed.
    """
    found = request.META.get("REMOTE_ADDR", "")
    passed = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if settings.PROXIES and len(passed) >= settings.PROXIES:
        found = passed[-settings.PROXIES].strip()
    try:
        return str(ip_address(found))
    except ValueError:
        return None
