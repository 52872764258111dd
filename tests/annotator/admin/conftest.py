"""A row of every model that the admin shows, and the people who may or may not see it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models

from annotator.models import Project, User
from tests.factories import make_comparison, make_guideline, make_ranking, make_user

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture
def root(db: None) -> User:
    return make_user("root", is_superuser=True, is_staff=True)


@pytest.fixture
def rows(project: Project, bob: User) -> dict[type[models.Model], Any]:
    """model → a row of it: what the site makes itself where it can, else one filled in by its fields."""
    make_guideline(project)
    make_comparison(project)
    make_ranking(project, bob)
    Group.objects.create(name="Helpers")
    return {model: model._default_manager.order_by("pk").first() or make_row(model) for model in MODELS}


def make_row(model: type[models.Model]) -> Any:
    """A row with something in each field that must have something; rows that it needs are made as well."""
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if field.primary_key or field.has_default() or field.null or getattr(field, "auto_now_add", False):
            continue
        if isinstance(field, models.ForeignKey):
            other = field.related_model
            values[field.name] = other._default_manager.order_by("pk").first() or make_row(other)
        else:
            values[field.name] = value_for(field)
    return model._default_manager.create(**values)


def value_for(field: models.Field[Any, Any]) -> Any:
    if field.choices:
        return field.flatchoices[0][0]
    match field:
        case models.BooleanField():
            return True
        case models.DateTimeField():
            return datetime(2026, 1, 2, tzinfo=UTC)
        case models.JSONField():
            return []
        case models.IntegerField() | models.FloatField():
            return 1
        case models.GenericIPAddressField():
            return "192.0.2.1"
    return uuid.uuid4().hex[: field.max_length or 32]
