"""The schema is valid, and its page works under the strict Content-Security-Policy."""

import re

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_and_without_guesses():
    schema = SchemaGenerator().get_schema(public=True)
    validate_schema(schema)
    assert not GENERATOR_STATS
    assert "/api/projects/{slug}/submit/" in schema["paths"]


def test_the_page_needs_nothing_that_the_policy_forbids(client):
    page = client.get("/api/docs/")
    html = page.content.decode()
    assert "'unsafe-inline'" not in page["Content-Security-Policy"]
    assert "<style" not in html
    assert " style=" not in html
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html)
    assert len(scripts) == 3
    assert all("src=" in attributes and not body.strip() for attributes, body in scripts)
    assert "http" not in "".join(attributes for attributes, _ in scripts)
    start = client.get("/api/docs/?script=")
    assert start["Content-Type"].startswith("application/javascript")
    assert b"/api/schema/" in start.content
