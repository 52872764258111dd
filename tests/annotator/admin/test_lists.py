"""Lists that cost the same with more rows: their queries, their counting, their filters and their search."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotator import audit
from annotator.admin import filters, paging, searching
from annotator.admin.filters import distinct
from annotator.models import Assignment, AuditEntry, Comparison, Completion, Event, Prompt, Ranking
from annotator.ranking import leases
from rlhf import runs
from rlhf.models import Generation, Run, RunRecord, Score
from tests.annotator.admin.conftest import MODELS, make_row
from tests.factories import make_comparison, make_project, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client, root):
    client.force_login(root)
    return client


def list_of(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def shown(browser, model, **query):
    """The numbers of the rows that the list shows."""
    response = browser.get(list_of(model), query)
    assert response.status_code == 200, response.url
    return [row.pk for row in response.context["cl"].result_list]


def more_of(project, people, count):
    """So many comparisons more, judged, and everything else that grows with them."""
    policy = runs.base_policy(project)
    run = Run.objects.create(project=project, kind="scoring", state="done")
    for number in range(count):
        comparison = make_comparison(project, wanted=len(people))
        for person in people:
            make_ranking(project, person)
        for completion in comparison.completions.all():
            Score.objects.create(completion=completion, mean=0.5)
            Generation.objects.create(
                completion=completion, run=run, checkpoint=policy, logprob=-1, tokens=2, finished=True
            )
        RunRecord.objects.create(run=run, step=number)
        audit.record("looked", actor=people[0], project=project, target=comparison)
        Event.objects.create(project=project, actor=people[0], verb="looked")


def test_no_list_asks_more_queries_for_more_rows(browser, rows, project, bob, carol):
    more_of(project, [bob, carol], 2)
    before = {model: queries(browser, model) for model in MODELS}
    more_of(project, [bob, carol], 6)
    for model in MODELS:
        make_row_unless_unique(model)
    after = {model: queries(browser, model) for model in MODELS}
    assert {m: (before[m], after[m]) for m in MODELS if after[m] > before[m]} == {}
    assert max(after.values()) <= 9


def queries(browser, model):
    browser.get(list_of(model))  # what is kept for good (content types, compiled statements) is read once
    with CaptureQueriesContext(connection) as captured:
        browser.get(list_of(model))
    return len(captured)


def make_row_unless_unique(model):
    from django.db import IntegrityError, transaction

    try:
        with transaction.atomic():
            make_row(model)
    except IntegrityError:
        return  # one a project: it does not grow


def test_lists_of_many_rows_do_not_read_their_long_columns(browser, project, bob):
    more_of(project, [bob], 1)
    with CaptureQueriesContext(connection) as captured:
        browser.get(list_of(Ranking))
    (page,) = [
        q["sql"] for q in captured if 'FROM "annotator_ranking"' in q["sql"] and "COUNT" not in q["sql"]
    ]
    for column in ("rationale", "improved_text", "ranks"):
        assert f'"annotator_ranking"."{column}"' not in page


def test_counting_stops(browser, project, bob, monkeypatch):
    more_of(project, [bob], 3)
    monkeypatch.setattr(paging, "MOST", 2)
    with CaptureQueriesContext(connection) as captured:
        page = browser.get(list_of(Ranking))
    counts = [q["sql"] for q in captured if "COUNT" in q["sql"]]
    assert counts and all("LIMIT" in sql for sql in counts)
    assert page.context["cl"].result_count == 2
    assert "The newest 2 are listed" in page.content.decode()


def test_a_period(browser, project, bob):
    more_of(project, [bob], 3)
    pks = list(Ranking.objects.order_by("pk").values_list("pk", flat=True))
    for day, pk in enumerate(pks):
        moment = datetime(2026, 3, 1 + day, 12, tzinfo=UTC)
        Ranking.objects.filter(pk=pk).update(created_at=moment)
    assert shown(browser, Ranking, created_at_from="2026-03-02", created_at_to="2026-03-02") == [pks[1]]
    assert shown(browser, Ranking, created_at_from="2026-03-02") == [pks[2], pks[1]]
    assert shown(browser, Ranking, created_at_to="2026-02-28") == []
    assert shown(browser, Ranking, created_at_from="no day") == pks[::-1]


@pytest.mark.parametrize("few", [0, 100], ids=["walked through", "from its side"])
def test_the_project_of_what_knows_it_through_another(browser, project, bob, few, monkeypatch):
    monkeypatch.setattr(filters, "FEW", few)
    more_of(project, [bob], 2)
    other = make_project("other")
    for place in (project, other):
        place.memberships.get_or_create(user=bob, defaults={"role": "annotator"})
    more_of(other, [bob], 1)
    for model, path in ((Ranking, "comparison__project"), (Completion, "prompt__project")):
        expected = model.objects.filter(**{path: other}).order_by("-pk")
        assert shown(browser, model, project=other.pk) == [row.pk for row in expected]
    assert shown(browser, Ranking, project="nonsense") != []


def test_what_is_unusual(browser, project, bob):
    more_of(project, [bob], 2)
    make_comparison(project)
    bad = make_ranking(project, bob, verdict="all_bad", ranks={})
    assert shown(browser, Ranking, verdict="all_bad") == [bad.pk]
    assert bad.pk not in shown(browser, Ranking, verdict="ranked")
    Ranking.objects.filter(pk=bad.pk).update(gold_score=0.5)
    assert shown(browser, Ranking, only="gold") == [bad.pk]
    assert shown(browser, Ranking, only="superseded") == []


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (lambda: Ranking.objects.filter(verdict="all_bad").exclude(verdict="ranked"), "ranking_not_ranked"),
        (lambda: Ranking.objects.filter(is_live=False), "ranking_superseded"),
        (lambda: Ranking.objects.filter(is_adjudication=True), "ranking_adjudication"),
        (lambda: Ranking.objects.filter(is_simulated=True), "ranking_simulated"),
        (lambda: Ranking.objects.filter(gold_score__isnull=False), "ranking_of_gold"),
        (lambda: Ranking.objects.filter(batch__isnull=False), "ranking_imported"),
        (lambda: Comparison.objects.filter(is_closed=True), "comparison_closed"),
        (
            lambda: (
                Assignment.objects.filter(state="expired").exclude(state="leased").exclude(state="submitted")
            ),
            "assignment_come_to_nothing",
        ),
        (
            lambda: Completion.objects.filter(source="edited").exclude(source="model"),
            "completion_not_by_model",
        ),
        (lambda: Assignment.objects.filter(pk__in=leases.held().values("pk")), "assignment_lease_end"),
        (lambda: Generation.objects.filter(finished=False), "generation_cut"),
        (lambda: AuditEntry.objects.filter(action="looked"), "audit_of_action"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sqlite_finds_what_is_rare_by_its_index(db, rows, index):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL chooses by what is in the table")
    plan = rows().order_by("-pk")[:50].explain()
    assert index in plan, plan


def test_search_by_number_name_and_words(browser, project, bob, carol, monkeypatch):
    more_of(project, [bob, carol], 2)
    hers = list(Ranking.objects.filter(annotator=carol).order_by("-pk").values_list("pk", flat=True))
    assert shown(browser, Ranking, q="CAR") == hers
    assert shown(browser, Ranking, q="nobody") == []
    comparison = Comparison.objects.latest("pk")
    found = shown(browser, Ranking, q=str(comparison.pk))
    assert set(comparison.rankings.values_list("pk", flat=True)) <= set(found)
    prompt = Prompt.objects.earliest("pk")
    assert shown(browser, Prompt, q=prompt.text) == [prompt.pk]
    monkeypatch.setattr(searching, "WINDOW", 1)
    assert shown(browser, Prompt, q=prompt.text) == []
    assert shown(browser, Prompt, q="9" * 40) == []
    assert "Words are looked for" in browser.get(list_of(Prompt), {"q": "x"}).content.decode()


def test_values_there_are_by_one_query(project, django_assert_num_queries):
    for action in ("b", "a", "b", "c"):
        audit.record(action)
    with django_assert_num_queries(1):
        assert [a for a in distinct(AuditEntry, "action", 100) if len(a) == 1] == ["a", "b", "c"]
    assert len(distinct(AuditEntry, "action", 2)) == 2


def test_every_foreign_key_in_a_form_is_found_by_typing(rows):
    """A select box with all rows of another table would be a page of megabytes."""
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label not in ("annotator", "rlhf") or not hasattr(model_admin, "search_numbers"):
            continue
        fixed = {*model_admin.readonly_fields, *model_admin.raw_id_fields, *model_admin.autocomplete_fields}
        keys = {field.name for field in model._meta.fields if field.is_relation}
        named = model_admin.fields or [field.name for field in model._meta.fields]
        read_only = not model_admin.has_change_permission.__qualname__.startswith("BaseModelAdmin")
        assert read_only or keys & set(named) <= fixed, model


def test_a_row_has_as_many_queries_however_many_rows_there_are(browser, project, bob):
    def counted():
        url = reverse("admin:annotator_project_change", args=[project.pk])
        browser.get(url)
        with CaptureQueriesContext(connection) as captured:
            browser.get(url)
        return len(captured)

    before = counted()
    for number in range(5):
        person = type(bob).objects.create_user(f"person{number}")
        project.memberships.create(user=person, role="annotator")
    assert counted() == before


def test_days_of_a_period_are_the_sites(browser, project, bob, settings):
    more_of(project, [bob], 1)
    Ranking.objects.update(created_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    settings.TIME_ZONE = "Asia/Shanghai"
    day = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=1)
    assert shown(browser, Ranking, created_at_from=f"{day:%Y-%m-%d}") != []
