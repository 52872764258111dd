"""Whatever goes wrong under /api/ is told as problem details."""

import json

import pytest
from django.test import Client

from annotator.api import projects

pytestmark = pytest.mark.django_db


def problem(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    data = json.loads(response.content)
    assert data["status"] == status
    assert set(data) - {"errors"} == {"type", "title", "status", "detail", "code"}
    assert data["type"] == f"urn:prefloop:problem:{data['code']}"
    assert data["detail"]
    return data


def test_no_token(client):
    assert problem(client.get("/api/projects/"), 401)["code"] == "not_authenticated"


def test_an_address_that_is_none(client, by_token, alice):
    assert problem(client.get("/api/nowhere/"), 404)["code"] == "not_found"
    assert problem(Client(enforce_csrf_checks=True).post("/api/nowhere/at/all", {}), 404)
    assert problem(by_token(alice)("get", "projects/none/"), 404)["code"] == "not_found"
    forgotten = problem(client.get("/api/projects/support/settings"), 404)
    assert forgotten["detail"] == "Addresses end with a slash: /api/projects/support/settings/"


def test_a_method_that_is_none(by_token, alice):
    response = by_token(alice)("delete", "projects/support/")
    assert problem(response, 405)["code"] == "method_not_allowed"
    assert "GET" in response["Allow"]


def test_a_body_of_another_kind_too_large_or_broken(by_token, alice, settings):
    call = by_token(alice)
    client = Client()
    token = call("get", "me/").wsgi_request.headers["Authorization"]
    send = {"headers": {"Authorization": token}}
    wrong = client.post("/api/projects/", b"a=1", content_type="text/plain", **send)
    assert problem(wrong, 415)["code"] == "unsupported_media_type"
    broken = client.post("/api/projects/", b"{", content_type="application/json", **send)
    assert problem(broken, 400)["code"] == "parse_error"
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    large = client.post(
        "/api/projects/", b'{"name": "more than ten"}', content_type="application/json", **send
    )
    assert problem(large, 413)["code"] == "too_large"


def test_what_is_wrong_with_which_field(by_token, alice):
    data = {"prompts": [{"text": "A task"}, {"text": "", "examples": [{"input": "x"}]}]}
    found = problem(by_token(alice)("post", "projects/support/prompts/bulk/", data), 400)
    assert found["errors"] == [
        {"pointer": "/prompts/1/examples/0/output", "detail": "This field is required.", "code": "required"}
    ]
    assert found["detail"] == "prompts/1/examples/0/output: This field is required."
    assert (
        problem(by_token(alice)("post", "projects/support/prompts/", []), 400)["errors"][0]["pointer"] == ""
    )


def test_an_error_of_ours_tells_no_secrets(by_token, alice, monkeypatch):
    call = by_token(alice)
    monkeypatch.setattr(projects.progress, "of_project", lambda project: 1 / 0)
    client = Client(raise_request_exception=False)
    token = call("get", "me/").wsgi_request.headers["Authorization"]
    response = client.get("/api/projects/support/progress/", headers={"Authorization": token})
    assert problem(response, 500)["code"] == "error"
    assert b"division" not in response.content
    assert client.get("/projects/support/progress/").status_code == 404, "pages keep their own"


def test_in_the_callers_language(client):
    response = client.get("/api/projects/", headers={"Accept-Language": "zh-hans"})
    assert problem(response, 401)["detail"] == "身份认证信息未提供。"


def test_whatever_is_accepted(by_token, alice):
    for accept in ("text/html", "application/problem+json", "application/jsonl"):
        assert by_token(alice)("get", "me/", Accept=accept)["Content-Type"] == "application/json"
