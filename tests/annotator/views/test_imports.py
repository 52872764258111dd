"""Imports as a manager sees them: the form, the preview, what can be done with one, what can be taken."""

import json
from xml.etree import ElementTree

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotator.models import Event, PromptImport
from annotator.prompts import importing, inspecting
from annotator.prompts.preparing import PreparationOptions
from annotator.ranking import queue
from annotator.views import import_preview
from tests.factories import make_import, make_ranking, make_zip

pytestmark = pytest.mark.django_db
State = PromptImport.State

DIRTY = "\n".join(
    json.dumps(row)
    for row in (
        {"text": "Write to the cafÃ© at a@example.org", "domain": "writing"},
        {"text": "Is it late?", "examples": [{"input": "23:59", "output": "yes"}]},
        {"text": "Is it late?", "examples": [{"input": "23:59", "output": "yes"}]},
        {"text": "<script>alert(1)</script>", "source": "<b>"},
        {"text": 5},
    )
)
CHOSEN = {
    "default_domain": "general",
    "repair": "on",
    "duplicates": "on",
    "contamination": "on",
    "personal": "flag",
    "similarity": "0.8",
    "min_tokens": "0",
    "max_tokens": "0",
}


@pytest.fixture
def client(client_of, alice):
    return client_of(alice)


def url(batch, name="import-detail", *args):
    return reverse(name, args=[batch.project.slug, batch.pk, *args])


def page(client, batch, name="import-detail"):
    return client.get(url(batch, name)).content.decode()


def upload(client, project, content, **values):
    file = SimpleUploadedFile("tasks.jsonl", content if isinstance(content, bytes) else content.encode())
    return client.post(reverse("import", args=[project.slug]), {"file": file, **CHOSEN, **values})


def ready(project, content, **values):
    batch = make_import(project, content, **values)
    importing.run_import(batch.pk)
    batch.refresh_from_db()
    assert batch.state == State.READY, batch.error
    return batch


class TestForm:
    def test_a_file_is_kept_with_its_steps_and_waits_for_a_worker(self, client, project):
        response = upload(client, project, DIRTY, nfkc="on", languages="en, zh-hans", personal="mask")
        batch = PromptImport.objects.get()
        assert response.url == url(batch)
        options = PreparationOptions(nfkc=True, languages=("en", "zh-hans"), personal="mask")
        assert inspecting.options_of(batch) == (options, False)
        assert "Waiting for a worker" in page(client, batch)
        assert not project.prompts.exists()

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"languages": "english!"}, "not a language code"),
            ({"min_tokens": "9", "max_tokens": "3"}, "The longest is shorter"),
            ({"similarity": "7"}, "less than or equal to 1"),
            ({"personal": "sell"}, "Select a valid choice"),
        ],
    )
    def test_wrong_steps_are_said_where_they_are(self, client, project, values, message):
        response = upload(client, project, DIRTY, **values)
        assert response.status_code == 400
        content = response.content.decode()
        assert message in content
        assert '<details class="fold" open>' in content
        assert not PromptImport.objects.exists()

    def test_an_empty_file_is_refused(self, client, project):
        response = upload(client, project, b"")
        assert response.status_code == 400
        assert "it is empty" in response.content.decode()
        assert not PromptImport.objects.exists()

    def test_one_that_is_too_large_is_refused(self, client, project, settings):
        settings.IMPORT_MAX_BYTES = 10
        response = upload(client, project, DIRTY)
        assert response.status_code == 400
        assert "are the most" in response.content.decode()


class TestPreview:
    def test_it_says_what_is_in_the_file_and_what_was_done(self, client, project):
        content = page(client, ready(project, DIRTY))
        assert "Import 3 tasks" in content
        assert "JSON Lines · Tasks, one a row" in content
        assert "Write to the café at a@example.org" in content  # as it will look
        assert '<del class="text">Write to the cafÃ©' in content  # what the repair did
        assert "e-mail addresses 1" in content
        assert "Line 5 · <code>text</code>" in content
        assert "is the same as line 2" in content
        assert "hx-get" not in content

    def test_what_the_file_says_is_text_and_no_markup(self, client, project):
        content = page(client, ready(project, DIRTY))
        assert "<script>alert" not in content
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content

    def test_judgments_are_told_with_who_gave_them(self, client, project):
        row = {
            "instruction": "Q",
            "input": "",
            "response1": "One",
            "response2": "Two",
            "annotator1": 1,
            "annotator2": 0,
        }
        content = page(client, ready(project, json.dumps(row)))
        assert "<strong>1 is better</strong>" in content
        assert "<strong>about the same</strong>" in content
        assert "annotator2" in content

    def test_pictures_are_shown_and_their_descriptions(self, client, project):
        batch = ready(project, make_zip(), name="signs.zip")
        assert 'alt="A sign a"' in page(client, batch)
        response = client.get(url(batch, "import-image", 2))
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert b"".join(response.streaming_content).startswith(b"\xff\xd8\xff")
        assert client.get(url(batch, "import-image", 3)).status_code == 404

    def test_nothing_left_to_import_has_no_button(self, client, project):
        content = page(client, ready(project, '{"text": 1}\n{"text": 2}'))
        assert "Nothing is left to import" in content
        assert reverse("import-start", args=[project.slug, PromptImport.objects.get().pk]) not in content

    def test_other_steps_inspect_it_again(self, client, project):
        batch = ready(project, DIRTY)
        chosen = {name: value for name, value in CHOSEN.items() if name != "duplicates"}
        assert client.post(url(batch, "import-inspect"), chosen).url == url(batch)
        importing.run_import(batch.pk)
        assert "Import 4 tasks" in page(client, batch)

    def test_wrong_steps_change_nothing(self, client, project):
        batch = ready(project, DIRTY)
        response = client.post(url(batch, "import-inspect"), {**CHOSEN, "languages": "?"})
        assert response.status_code == 400
        assert "not a language code" in response.content.decode()
        assert PromptImport.objects.get().state == State.READY

    def test_a_manager_may_know_the_format_better(self, client, project):
        row = {"instruction": "Translate.", "input": "hello", "output": "hallo"}
        batch = ready(project, json.dumps(row))
        assert "Alpaca" in page(client, batch)
        client.post(url(batch, "import-format"), {"family": "tasks"})
        importing.run_import(batch.pk)
        batch.refresh_from_db()
        assert (batch.format, batch.forced_format) == ("jsonl-tasks", "tasks")
        assert "as you said" in page(client, batch)
        client.post(url(batch, "import-format"), {"family": ""})
        importing.run_import(batch.pk)
        assert "Alpaca" in page(client, batch)

    def test_an_unknown_format_is_refused(self, client, project):
        batch = ready(project, DIRTY)
        assert client.post(url(batch, "import-format"), {"family": "pickle"}).status_code == 400
        assert PromptImport.objects.get().state == State.READY

    def test_a_preview_that_somebody_else_dropped_is_no_error(self, client, project):
        batch = ready(project, DIRTY)
        importing.cancel_import(batch)
        PromptImport.objects.update(state=State.READY, records="imports/gone.records")
        assert client.get(url(batch)).status_code == 200
        assert client.get(url(batch, "import-image", 1)).status_code == 404


class TestStoring:
    def test_from_preview_to_done_and_undone(self, client, project, alice):
        batch = ready(project, DIRTY)
        client.post(url(batch, "import-start"))
        assert f'hx-get="{url(batch)}"' in page(client, batch)
        importing.run_import(batch.pk)
        content = page(client, batch)
        assert "New tasks" in content
        assert project.prompts.count() == 3
        assert "This takes out of the project" in page(client, batch, "import-undo")
        assert client.post(url(batch, "import-undo")).url == url(batch)
        assert not project.prompts.exists()
        assert "Undone. All that it brought is gone." in page(client, batch)
        assert Event.objects.first().verb == "undid the import of"

    def test_the_fragment_is_what_changes(self, client, project):
        batch = make_import(project, DIRTY)
        fragment = client.get(url(batch), headers={"HX-Request": "true"}).content.decode()
        assert fragment.lstrip().startswith('<div class="stack" id="import" hx-get')

    def test_it_is_cancelled(self, client, project):
        batch = make_import(project, DIRTY)
        client.post(url(batch, "import-cancel"))
        importing.run_import(batch.pk)
        assert "Cancelled. Nothing of the file was stored." in page(client, batch)

    def test_pressing_twice_says_that_it_has_changed(self, client, project):
        batch = ready(project, DIRTY)
        client.post(url(batch, "import-start"))
        response = client.post(url(batch, "import-start"), follow=True)
        assert "has changed meanwhile" in response.content.decode()

    def test_a_failed_one_says_why_and_can_be_inspected_again(self, client, project):
        batch = make_import(project, "%PDF-1.7")
        importing.run_import(batch.pk)
        content = page(client, batch)
        assert "it is a PDF" in content
        assert "Inspect the file again" in content

    def test_undo_is_refused_where_people_judged_and_offers_to_keep_that(self, client, project, bob):
        batch = importing.import_now(make_import(project, "A\tP\nB\tP\nC\tQ\nD\tQ\n"))
        make_ranking(project, bob)
        queue.release(queue.claim_next(annotator=bob, project=project))
        content = page(client, batch, "import-undo")
        assert "1 judgment was given on them" in content
        response = client.post(url(batch, "import-undo"))
        assert response.status_code == 409
        assert project.prompts.count() == 2
        client.post(url(batch, "import-undo"), {"keep": "1"})
        assert project.prompts.count() == 1
        assert "but for 1 task" in page(client, batch)

    def test_what_is_not_done_cannot_be_undone(self, client, project):
        batch = ready(project, DIRTY)
        assert client.get(url(batch, "import-undo")).url == url(batch)
        response = client.post(url(batch, "import-undo"), follow=True)
        assert "nothing of this import to take out" in response.content.decode()


class TestFiles:
    def test_the_report_as_json(self, client, project):
        found = client.get(url(ready(project, DIRTY), "import-report")).json()
        assert (found["report"]["kept"], found["report"]["rejected"], found["report"]["left_out"]) == (
            3,
            1,
            1,
        )
        assert found["options"]["repair"] is True

    def test_the_rejected_lines(self, client, project):
        response = client.get(url(ready(project, DIRTY), "import-rejects"))
        assert response.headers["Content-Disposition"] == 'attachment; filename="tasks-rejects.jsonl"'
        rows = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
        assert [(row["line"], row["step"]) for row in rows] == [(3, "duplicates"), (5, "")]

    def test_no_rejected_lines_no_file(self, client, project):
        assert client.get(url(ready(project, "A\tP\n"), "import-rejects")).status_code == 404

    def test_the_picture_is_a_file_of_its_own(self, client, project):
        batch = ready(project, DIRTY)
        PromptImport.objects.filter(pk=batch.pk).update(name='<a href="x">&.jsonl')
        response = client.get(url(batch, "import-picture"))
        assert response.headers["Content-Type"] == "image/svg+xml"
        assert response.headers["Content-Disposition"].startswith("attachment")
        drawn = ElementTree.fromstring(response.content)
        texts = ["".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
        assert {"English", "Writing"} <= set(texts)
        assert '<a href="x">&.jsonl' in drawn.findtext("{http://www.w3.org/2000/svg}title")

    def test_before_the_inspection_there_is_nothing_to_take(self, client, project):
        batch = make_import(project, DIRTY)
        for name in ("import-report", "import-picture", "import-rejects"):
            assert client.get(url(batch, name)).status_code == 404


def test_the_list_shows_what_came(client, project):
    importing.import_now(make_import(project, "A\tP\nB\tP\n", name="first.tsv"))
    ready(project, DIRTY)
    content = client.get(reverse("import", args=[project.slug])).content.decode()
    assert "first.tsv" in content
    assert "Ready to import" in content


def test_formats_are_named_in_words():
    assert import_preview.format_name("jsonl-alpaca") == "JSON Lines · Alpaca: instruction, input, output"
    assert import_preview.format_name("zip-csv-tasks") == "zip · CSV · Tasks, one a row"
    assert import_preview.format_name("something new") == "something new"
    assert import_preview.family_of("jsonl-label-studio") == "label-studio"
    assert import_preview.family_of("gzip-jsonl-tasks") == "tasks"
