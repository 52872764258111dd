"""The pages of exports: choosing with a live count, what a saved one shows, and its files."""

import hashlib
import io
import json
import tarfile

import pytest
from django.urls import reverse
from django.utils import timezone

from annotator import consent
from annotator.exports import jobs
from annotator.exports.formats import FORMATS
from annotator.exports.recipe import Recipe
from annotator.models import Export, Ranking
from annotator.pseudonyms import pseudonym
from tests.factories import make_comparison, make_prompt, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.EXPORT_KEEP_FREE_BYTES = 0
    return settings.EXPORTS_DIR


@pytest.fixture
def judged(project, bob, carol):
    """Bob judged three comparisons, one of them in Chinese; carol one more."""
    for language in ("en", "en", "zh-hans", "en"):
        make_comparison(project, make_prompt(project, language=language))
    for who in (bob, bob, bob, carol):
        make_ranking(project, who)
    return project


@pytest.fixture
def page(client_of, dana, project):
    client = client_of(dana)
    url = reverse("exports", args=[project.slug])

    def get(query=None, *, htmx=False):
        headers = {"HX-Request": "true", "HX-Target": "counted"} if htmx else {}
        return client.get(url, query or {}, headers=headers).content.decode()

    get.client, get.url = client, url
    return get


def made(project, user=None, **recipe):
    recipe = Recipe(**{"format": "trl", **recipe})
    export = jobs.create(project=project, recipe=recipe, user=user, send_it=False)
    jobs.run(export.pk)
    export.refresh_from_db()
    assert export.state == Export.State.DONE, export.error
    return export


def number(text, label):
    """The figure under a label of the count."""
    return text.split(f"<dt>{label}</dt><dd>")[1].split("<")[0].strip()


def test_every_format_is_offered_with_what_reads_it(page, judged):
    text = page()
    for name in FORMATS:
        assert f'name="format" value="{name}"' in text
    assert "DPOTrainer" in text


def test_without_judgments_it_says_so(page, project):
    assert "Nothing to export yet" in page()


def test_the_count_follows_the_filters(page, judged):
    whole = page({"format": "trl"}, htmx=True)
    assert "<html" not in whole
    assert (number(whole, "Lines"), number(whole, "Judgments"), number(whole, "Annotators")) == (
        "4",
        "4",
        "2",
    )
    assert "&quot;chosen&quot;" in whole
    chinese = page({"format": "raw", "languages": "zh-hans"}, htmx=True)
    assert (number(chinese, "Judgments"), number(chinese, "Tasks")) == ("1", "1")
    none = page({"format": "trl", "judgments": "simulated"}, htmx=True)
    assert number(none, "Judgments") == "0"
    assert "Nothing passes these filters" in none


def test_the_count_leaves_out_who_withdrew_and_says_how_many(page, judged, bob):
    consent.withdraw(bob, judged)
    text = page({"format": "trl"}, htmx=True)
    assert number(text, "Judgments") == "1"
    assert "3 judgments are left out because they were withdrawn" in text


def test_many_judgments_are_counted_by_the_database_to_the_same_numbers(page, judged, bob, monkeypatch):
    from annotator.exports import counting

    consent.withdraw(bob, judged)
    queries = (
        {"format": "raw"},
        {"format": "raw", "languages": "en"},
        {"format": "raw", "judgments": "real"},
    )
    exact = [page(query, htmx=True) for query in queries]
    monkeypatch.setattr(counting, "MOST_READ", -1)
    for query, before in zip(queries, exact, strict=True):
        text = page(query, htmx=True)
        for label in ("Judgments", "Tasks", "Annotators"):
            assert number(text, label) == number(before, label)
        assert "counted when made" in text
        assert before.split("left out because")[0][-40:] == text.split("left out because")[0][-40:]
    assert "≤ 1" in page({"format": "raw", "min_agreement": "50"}, htmx=True)


@pytest.mark.parametrize(
    "query",
    [
        {"format": "nothing"},
        {"format": "trl", "file": "exe"},
        {"format": "trl", "iteration_from": "-1"},
        {"format": "trl", "iteration_from": "3", "iteration_to": "2"},
        {"format": "trl", "given_from": "yesterday"},
        {"format": "trl", "min_agreement": "101"},
        {"format": "trl", "train": "80", "validation": "30"},
        {"format": "trl", "languages": "xx'--"},
        {"format": "trl", "given_from": "2026-02-01", "given_to": "2026-01-01"},
    ],
)
def test_a_wrong_choice_is_named_and_makes_nothing(page, judged, query):
    text = page(query, htmx=True)
    assert "message-warning" in text and "<dt>Lines</dt>" not in text
    response = page.client.post(page.url, query)
    assert response.status_code == 400
    assert "nothing was made" in response.content.decode()
    assert not Export.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        {"iteration_from": "9" * 30},
        {"given_from": "0001-01-01", "given_to": "9999-12-31"},
        {"min_agreement": "nan"},
        {"min_agreement": "1e400"},
        {"domains": "code\x00"},
        {"page": "9" * 40},
    ],
)
def test_strange_values_are_answered(page, judged, query):
    assert "counted-title" in page({"format": "trl", **query}, htmx=True)
    assert "counted-title" in page({"format": "trl", **query})


def test_one_is_made_from_the_form(page, judged, dana):
    query = {
        "format": "trl",
        "name": "For the paper",
        "languages": ["en"],
        "train": "80",
        "validation": "10",
        "file": "jsonl.gz",
        "given_to": "2099-12-31",
        "min_agreement": "",
    }
    response = page.client.post(page.url, query)
    export = Export.objects.get()
    assert response.url == export.get_absolute_url()
    assert (export.name, export.created_by, export.state) == ("For the paper", dana, "queued")
    recipe = Recipe.from_json(export.recipe)
    assert recipe.splits.to_json() == {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert recipe.selection.languages == ("en",) and recipe.gzip
    assert recipe.selection.given_before.isoformat() == "2100-01-01T00:00:00+00:00"
    waiting = page.client.get(response.url).content.decode()
    assert "Waiting for a worker" in waiting and 'hx-trigger="every 1s"' in waiting
    jobs.run(export.pk)
    live = page.client.get(response.url, headers={"HX-Request": "true"})
    assert live["HX-Refresh"] == "true"


def test_a_late_worker_is_told_of(page, judged):
    export = jobs.create(project=judged, recipe=Recipe("raw"), user=None, send_it=False)
    Export.objects.update(created_at=timezone.now() - timezone.timedelta(seconds=20))
    assert "No worker has come yet" in page.client.get(export.get_absolute_url()).content.decode()


def test_what_the_page_of_a_finished_one_says(page, judged, dana):
    export = made(judged, dana)
    text = page.client.get(export.get_absolute_url()).content.decode()
    assert export.sha256 in text
    for file in export.files:
        assert file["name"] in text and file["sha256"] in text
    assert "load_dataset(&quot;json&quot;" in text and "DPOTrainer" in text
    assert "@misc{support-" in text
    assert "Make it again" in text and "Delete" in text
    listed = page()
    assert export.sha256[:12] in listed and "Done" in listed


def test_a_failed_one_says_why(page, project, judged):
    Ranking.objects.all().update(is_live=False)
    export = jobs.create(
        project=judged,
        recipe=Recipe.from_json({"format": "raw", "selection": {"judgments": "simulated"}}),
        user=None,
        send_it=False,
    )
    jobs.run(export.pk)
    text = page.client.get(export.get_absolute_url()).content.decode()
    assert 'role="alert"' in text and "nothing" in text


def test_a_file_comes_whole_in_pieces_and_not_at_all(page, judged):
    export = made(judged)
    [file] = [one for one in export.files if one.get("split") == "train"]
    url = reverse("export-file", args=[judged.slug, export.pk, file["name"]])
    whole = page.client.get(url)
    data = b"".join(whole.streaming_content)
    assert hashlib.sha256(data).hexdigest() == file["sha256"] == whole["ETag"].strip('"')
    assert whole["Content-Type"] == "application/jsonl"
    assert f'filename="support-{export.pk}-train.jsonl"' in whole["Content-Disposition"]
    part = page.client.get(url, headers={"Range": "bytes=10-", "If-Range": whole["ETag"]})
    assert part.status_code == 206
    assert data[:10] + b"".join(part.streaming_content) == data
    assert page.client.head(url)["Content-Length"] == str(len(data))


@pytest.mark.parametrize(
    "name",
    [
        "data/nothing.jsonl",
        "../manifest.json",
        "data/../manifest.json",
        "/etc/passwd",
        "..%2f..%2fdb",
        "data",
    ],
)
def test_only_its_own_files_are_sent(page, judged, name):
    export = made(judged)
    url = reverse("export", args=[judged.slug, export.pk]) + f"files/{name}"
    assert page.client.get(url).status_code == 404


def test_all_files_come_as_one_archive_in_pieces_too(page, judged):
    export = made(judged)
    url = reverse("export-file", args=[judged.slug, export.pk, "all.tar"])
    whole = page.client.get(url)
    data = b"".join(whole.streaming_content)
    assert whole["Content-Length"] == str(len(data))
    assert f'filename="support-{export.pk}.tar"' in whole["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for file in export.files:
            inside = archive.extractfile(f"support-{export.pk}/{file['name']}").read()
            assert hashlib.sha256(inside).hexdigest() == file["sha256"]
    rest = page.client.get(url, headers={"Range": "bytes=700-", "If-Range": whole["ETag"]})
    assert data[:700] + b"".join(rest.streaming_content) == data
    (export.folder / "README.md").unlink()
    assert page.client.get(url).status_code == 410


def test_another_projects_export_is_not_found(page, judged, client_of, mallory):
    from tests.factories import make_member, make_project

    elsewhere = make_project("elsewhere")
    make_member(elsewhere, "researcher", mallory)
    export = made(judged)
    client = client_of(mallory)
    for name, args in (("export", ()), ("export-file", ("manifest.json",))):
        assert client.get(reverse(name, args=[elsewhere.slug, export.pk, *args])).status_code == 404
    for name in ("export-repeat", "export-cancel", "export-delete"):
        assert client.post(reverse(name, args=[elsewhere.slug, export.pk])).status_code == 404
    assert Export.objects.count() == 1


def test_permission_is_asked_each_time(page, judged, dana):
    export = made(judged, dana)
    url = reverse("export-file", args=[judged.slug, export.pk, "manifest.json"])
    tag = page.client.get(url)["ETag"]
    judged.memberships.filter(user=dana).delete()
    assert page.client.get(url, headers={"Range": "bytes=5-", "If-Range": tag}).status_code == 404
    judged.memberships.create(user=dana, role="annotator")
    assert page.client.get(url, headers={"If-None-Match": tag}).status_code == 403


def test_after_a_withdrawal_its_files_are_handed_out_no_more(page, judged, bob):
    export = made(judged)
    url = reverse("export-file", args=[judged.slug, export.pk, "data/train.jsonl"])
    assert page.client.get(url).status_code == 200
    consent.withdraw(bob, judged)
    response = page.client.get(url, headers={"Range": "bytes=5-"})
    assert response.status_code == 410
    assert "Make it again" in response.content.decode()
    text = page.client.get(export.get_absolute_url()).content.decode()
    assert "not handed out any more" in text and "not to be had" in text
    assert "withdrawn from" in page()
    page.client.post(reverse("export-repeat", args=[judged.slug, export.pk]))
    later = Export.objects.first()
    jobs.run(later.pk)
    text = page.client.get(later.get_absolute_url()).content.decode()
    assert "Not the same as #" in text and "3 judgments have been withdrawn since" in text
    file = page.client.get(reverse("export-file", args=[judged.slug, later.pk, "data/train.jsonl"]))
    assert pseudonym(judged, bob.pk) not in b"".join(file.streaming_content).decode()
    consent.give_back(bob, judged)
    assert page.client.get(url).status_code == 200


def test_a_withdrawal_of_somebody_who_is_not_in_it_changes_nothing(page, judged, alice, carol):
    Ranking.objects.filter(annotator=carol).delete()
    export = made(judged)
    consent.withdraw(carol, judged)
    url = reverse("export-file", args=[judged.slug, export.pk, "manifest.json"])
    assert page.client.get(url).status_code == 200


def test_deleted_and_damaged_files_are_gone(page, judged):
    export = made(judged)
    url = reverse("export-file", args=[judged.slug, export.pk, "data/train.jsonl"])
    path = export.folder / "data/train.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    assert page.client.get(url).status_code == 410
    path.unlink()
    assert page.client.get(url).status_code == 410
    Export.objects.update(files_deleted_at=timezone.now())
    assert page.client.get(url).status_code == 410
    assert "Its files were deleted on" in page.client.get(export.get_absolute_url()).content.decode()


def test_researchers_delete_and_cancel_their_own_managers_all(page, judged, alice, dana, client_of):
    other = made(judged, alice)
    own = jobs.create(project=judged, recipe=Recipe("raw"), user=dana, send_it=False)
    for name in ("export-cancel", "export-delete"):
        assert page.client.post(reverse(name, args=[judged.slug, other.pk])).status_code == 403
        assert page.client.post(reverse(name, args=[judged.slug, own.pk])).status_code == 302
    assert list(Export.objects.all()) == [other]
    assert "Delete" not in page.client.get(other.get_absolute_url()).content.decode()
    client_of(alice).post(reverse("export-delete", args=[judged.slug, other.pk]))
    assert not Export.objects.exists()


def test_a_small_one_is_sent_at_once_without_who_withdrew(page, judged, bob, carol, settings):
    url = reverse("export-stream", args=[judged.slug])
    consent.withdraw(bob, judged)
    response = page.client.post(url, {"format": "raw"})
    rows = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [row["annotator"] for row in rows] == [pseudonym(judged, carol.pk)]
    assert response["Content-Disposition"] == 'attachment; filename="support-raw.jsonl"'
    for kind in ("jsonl.gz", "parquet"):
        assert (
            "Make a saved export" in page.client.post(url, {"format": "raw", "file": kind}).content.decode()
        )
    settings.EXPORT_STREAM_JUDGMENTS = 3
    response = page.client.post(url, {"format": "raw"})
    assert response.status_code == 400
    assert "up to 3 judgments" in response.content.decode()


def test_old_links_and_scripts_leave_them_out_too(page, judged, bob, carol):
    consent.withdraw(bob, judged)
    for url in (reverse("export-download", args=[judged.slug, "raw"]), "/api/projects/support/exports/raw/"):
        rows = b"".join(page.client.get(url).streaming_content).splitlines()
        assert [json.loads(row)["annotator"] for row in rows] == [pseudonym(judged, carol.pk)]


def test_hostile_names_and_texts_are_shown_not_obeyed(page, project, bob):
    make_comparison(project, make_prompt(project, "<script>alert(1)</script>"))
    make_ranking(project, bob)
    text = page({"format": "trl"}, htmx=True)
    assert "<script>" not in text and "&lt;script&gt;" in text
    page.client.post(page.url, {"format": "trl", "name": "<b>x</b>"})
    assert "<b>x</b>" not in page()
