"""The quality pages: what they show, how they wait, and what can be downloaded."""

import csv
import io

import pytest
from django.urls import reverse
from kombu.exceptions import OperationalError

from annotator.models import Membership, QualityReport
from annotator.pseudonyms import pseudonym
from annotator.quality import reports
from annotator.views import quality
from tests.annotator.quality.test_agreement import judge
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch):
    """The projects whose report was asked of a worker."""
    put = []
    monkeypatch.setattr(reports.current_app, "send_task", lambda name, args: put.extend(args))
    return put


@pytest.fixture
def no_broker(monkeypatch):
    def refuse(name, args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(reports.current_app, "send_task", refuse)


@pytest.fixture
def get(client_of, dana, project):
    client = client_of(dana)

    def fetch(name, *args, **options):
        return client.get(reverse(name, args=[project.slug, *args]), **options).content.decode()

    fetch.client = client
    return fetch


def test_the_first_visit_asks_a_worker_once(get, project, bob, sent, django_capture_on_commit_callbacks):
    make_comparison(project)
    make_ranking(project, bob)
    with django_capture_on_commit_callbacks(execute=True):
        assert "This page updates itself" in get("quality")
        assert "This page updates itself" in get("quality")
    assert sent == [project.pk]


def test_it_reloads_when_the_figures_have_come(get, project, bob, sent):
    make_comparison(project)
    make_ranking(project, bob)
    get("quality")
    url = reverse("quality-state", args=[project.slug])
    waiting = get.client.get(url, {"known": "", "polls": 3})
    assert "HX-Refresh" not in waiting
    assert "polls=4" in waiting.content.decode()
    assert "hx-get" not in get.client.get(url, {"known": "", "polls": 60}).content.decode()
    assert get.client.get(url, {"polls": "many"}).status_code == 400
    reports.compute(project)
    assert get.client.get(url, {"known": "", "polls": 3})["HX-Refresh"] == "true"
    page = get("quality")
    assert "This page updates itself" not in page
    assert "Computed" in page


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_a_small_project_is_computed_at_once(get, project, bob, no_broker):
    make_comparison(project)
    make_ranking(project, bob)
    assert "Computed" in get("quality")


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_a_large_project_says_so(get, project, bob, no_broker, monkeypatch):
    monkeypatch.setattr(reports, "SMALL", 0)
    make_comparison(project)
    make_ranking(project, bob)
    assert "No worker can be reached" in get("quality")
    assert not QualityReport.objects.exists()


def test_refresh_asks_for_newer_figures(get, project, bob, sent, django_capture_on_commit_callbacks):
    make_comparison(project)
    make_ranking(project, bob)
    reports.compute(project)
    with django_capture_on_commit_callbacks(execute=True):
        get.client.post(reverse("quality-refresh", args=[project.slug]))
    assert sent == [project.pk]
    assert "This page updates itself" in get("quality")
    reports.compute(project)
    assert "This page updates itself" not in get("quality")


def test_what_the_pages_say(get, project, bob, carol):
    for ranks in ((1, 2), (1, 2), (2, 1)):
        judge(project, (bob, ranks), (carol, ranks))
    judge(project, (bob, (1, 2)), (carol, (2, 1)))
    Membership.objects.filter(user=bob).update(
        paused_at="2026-01-01T00:00Z", pause_kind="too_fast", pause_facts={}
    )
    reports.compute(project)
    page = get("quality")
    assert "75 %" in page
    assert "0.50" in page  # tau-b
    assert "The queue is empty." in page
    people = get("quality-annotators")
    assert "Too fast" in people
    assert all(pseudonym(project, user.pk) in people for user in (bob, carol))


def test_every_table_can_be_downloaded(get, project, alice, bob, carol, client_of):
    judge(project, (bob, (1, 2)), (carol, (1, 2)))
    bob.username = "=HYPERLINK(1)"
    bob.save()
    reports.compute(project)

    def rows(table, client=get.client):
        text = client.get(reverse("quality-csv", args=[project.slug, table])).content.decode()
        return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))

    assert rows("agreement")[0] | {"slice": "all", "pairwise": "1.0", "pairs": "1"} == rows("agreement")[0]
    assert rows("throughput")[0]["judgments"] == "2"
    assert len(rows("times")) == len(reports.EDGES)
    found = {row["annotator"]: row for row in rows("annotators", client_of(alice))}
    assert found["'=HYPERLINK(1)"]["judgments"] == "1"
    assert found["carol"]["today"] == "1"
    assert get.client.get(reverse("quality-csv", args=[project.slug, "secrets"])).status_code == 404


def test_a_download_before_any_report_is_empty(get):
    assert get("quality-csv", "annotators") == "\ufeff"


def test_annotators_are_paged_and_sorted(get, project, bob, carol, monkeypatch):
    judge(project, (bob, (1, 2)), (carol, (1, 2)))
    report = reports.compute(project)
    for user, value in ((bob, 0.9), (carol, 0.6)):
        report.figures["people"][str(user.pk)]["reliability"] = {"value": value, "low": 0.5, "high": 1}
    report.save()
    monkeypatch.setattr(quality, "PER_PAGE", 1)

    def row(query):
        page = get.client.get(reverse("quality-annotators", args=[project.slug]), query)
        return [row.user.username for row in page.context["page"]]

    first, second = sorted((bob, carol), key=lambda user: pseudonym(project, user.pk))
    assert row({}) == [first.username]
    assert row({"page": 2}) == [second.username]
    assert row({"sort": "reliability"}) == ["carol"]
