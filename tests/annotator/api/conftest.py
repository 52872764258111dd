"""Calls by token, as a program makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from annotator import tokens
from annotator.models import Scope, User


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """Each test has its limits to itself."""
    cache.clear()


@pytest.fixture
def by_token() -> Callable[..., Callable[..., Any]]:
    """by_token(user, scopes)(method, path, data): a call with a new token of the user's."""

    def of(user: User, scopes: list[Scope] | None = None, **options: Any) -> Callable[..., Any]:
        _, text = tokens.make(
            owner=user, name="test", scopes=list(Scope) if scopes is None else scopes, **options
        )
        client = Client(enforce_csrf_checks=True)

        def call(method: str, path: str, data: Any = None, **headers: str) -> Any:
            headers = {
                "Authorization": f"Bearer {text}",
                **{k.replace("_", "-"): v for k, v in headers.items()},
            }
            content = {} if data is None else {"data": data, "content_type": "application/json"}
            return getattr(client, method)(f"/api/{path}", headers=headers, **content)

        return call

    return of
