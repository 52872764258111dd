"""Who calls: a personal token, else the session of the site's own pages."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from annotator import tokens
from annotator.models import Scope, Token, User

if TYPE_CHECKING:  # REST framework's views import this module, by the settings
    from rest_framework.views import APIView


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer pl_…`, or Basic with the token as password and any user name.

    Basic is for clients that take an address and no headers (OpenRLHF's): https://token:pl_…@host/api/score/.
    """

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        kind, _space, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() not in ("bearer", "basic"):
            return None
        text = value.strip() if kind.lower() == "bearer" else _password(value)
        token = tokens.find(text)
        if token is None or token.state != "active" or not token.owner.is_active:
            # One answer for all: whoever tries tokens learns nothing of those that there were.
            raise AuthenticationFailed(_("This token is not valid: unknown, expired or revoked."))
        tokens.mark_used(token)
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class HasScope(BasePermission):
    """A token needs the view's scope: to read `read`, else what the view names. A session needs none."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Token):
            return True
        scope = scope_of(view, request.method or "")
        self.message = _("This token has not the scope “%(scope)s”.") % {"scope": scope.value}
        return scope.value in request.auth.scopes


def scope_of(view: APIView | type[APIView], method: str) -> Scope:
    """What a token needs for this method of the view; what names nothing changes projects: `manage`."""
    if method.upper() in SAFE_METHODS:
        return Scope.READ
    named: Scope = getattr(view, "scope", Scope.MANAGE)
    return named


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "annotator.api.authentication.TokenAuthentication"
    name = ["token", "tokenAsPassword"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "description": "A personal token (`pl_…`), made under “My account”.",
            },
            {
                "type": "http",
                "scheme": "basic",
                "description": "The same token as password, with any user name: for clients without headers.",
            },
        ]
