"""A request that is repeated with its key is carried out once, also by several at the same time."""

import threading
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from django.utils import timezone

from annotator import tokens
from annotator.api import idempotency
from annotator.models import Prompt, PromptImport, Scope, StoredAnswer
from annotator.prompts import importing

URL = "projects/support/prompts/"


@pytest.mark.django_db
class TestOneAfterAnother:
    def test_the_same_again(self, by_token, alice):
        call = by_token(alice)
        first = call("post", URL, {"text": "Sort names."}, Idempotency_Key="k")
        again = call("post", URL, {"text": "Sort names."}, Idempotency_Key="k")
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json() and first["Location"] == again["Location"]
        assert "Idempotency-Replayed" not in first and again["Idempotency-Replayed"] == "true"
        assert Prompt.objects.count() == 1
        without = call("post", URL, {"text": "Sort names."})
        assert without.status_code == 200, "known, but carried out anew"

    def test_another_request_with_the_key(self, by_token, alice):
        call = by_token(alice)
        call("post", URL, {"text": "Sort names."}, Idempotency_Key="k")
        for path, data in ((URL, {"text": "Other"}), ("projects/", {"text": "Sort names."})):
            refused = call("post", path, data, Idempotency_Key="k")
            assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
        assert Prompt.objects.count() == 1

    def test_keys_are_ones_own(self, by_token, alice, carol, project):
        project.memberships.filter(user=carol).update(role="manager")
        by_token(alice)("post", URL, {"text": "A"}, Idempotency_Key="k")
        assert by_token(carol)("post", URL, {"text": "B"}, Idempotency_Key="k").status_code == 201
        other_token = by_token(alice)("post", URL, {"text": "A"}, Idempotency_Key="k")
        assert other_token["Idempotency-Replayed"] == "true"

    def test_of_what_was_refused_nothing_stays(self, by_token, alice):
        call = by_token(alice)
        assert call("post", URL, {"text": ""}, Idempotency_Key="k").status_code == 400
        assert not StoredAnswer.objects.exists()
        assert call("post", URL, {"text": "Now"}, Idempotency_Key="k").status_code == 201

    def test_after_a_day_it_is_forgotten(self, by_token, alice):
        call = by_token(alice)
        call("post", URL, {"text": "A"}, Idempotency_Key="k")
        StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
        assert call("post", URL, {"text": "B"}, Idempotency_Key="k").status_code == 201
        StoredAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
        assert idempotency.sweep() == 1

    def test_a_key_has_an_end(self, by_token, alice):
        assert by_token(alice)("post", URL, {"text": "A"}, Idempotency_Key="k" * 256).status_code == 400

    def test_an_upload_is_known_by_what_it_holds(self, client, alice, monkeypatch):
        monkeypatch.setattr(importing, "send_import", lambda pk: True)
        client.force_login(alice)

        def upload(content):
            file = SimpleUploadedFile("tasks.tsv", content)
            return client.post(
                "/api/projects/support/imports/", {"file": file}, headers={"Idempotency-Key": "k"}
            )

        first, again = upload(b"Write it.\tA task\n"), upload(b"Write it.\tA task\n")
        assert first.status_code == again.status_code == 201, first.content
        assert first.json() == again.json() and PromptImport.objects.count() == 1
        assert upload(b"Write it.\tAnother\n").status_code == 422


@pytest.mark.django_db(transaction=True)
def test_of_eight_at_once_one_creates(alice):
    _, text = tokens.make(owner=alice, name="x", scopes=[Scope.WRITE])
    answers, start = [], threading.Barrier(8)

    def send():
        start.wait()
        try:
            response = Client().post(
                f"/api/{URL}",
                {"text": "Sort names.", "completions": ["One.", "Two."]},
                content_type="application/json",
                headers={"Authorization": f"Bearer {text}", "Idempotency-Key": "k"},
            )
            answers.append((response.status_code, response.content, response.get("Idempotency-Replayed")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in answers} == {201}
    assert len({body for _, body, _ in answers}) == 1
    assert [replayed for _, _, replayed in answers].count("true") == 7
    assert Prompt.objects.count() == 1 and StoredAnswer.objects.count() == 1
