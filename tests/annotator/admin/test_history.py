"""Nobody changes what was said and done: not by forms, by ticking rows, or by deleting what it hangs on."""

import pytest
from django.urls import reverse

from annotator.models import (
    Assignment,
    AuditEntry,
    Completion,
    Event,
    GoldAnswer,
    Guideline,
    Invitation,
    Note,
    Project,
    Prompt,
    PromptImport,
    QualityReport,
    Ranking,
    User,
)
from rlhf.models import (
    BlindComparison,
    Checkpoint,
    Evaluation,
    Generation,
    LiveHeads,
    LiveScore,
    Promotion,
    Run,
    RunRecord,
    RunSample,
    Score,
    Snapshot,
)
from tests.factories import make_prompt

pytestmark = pytest.mark.django_db

HISTORY = [
    *(AuditEntry, Event, Ranking, Assignment, GoldAnswer, QualityReport, Completion, PromptImport, Note),
    *(Guideline, Invitation, Run, RunRecord, RunSample, Checkpoint, Snapshot, Generation, Score, LiveHeads),
    *(LiveScore, Evaluation, BlindComparison, Promotion),
]
CLOSED, OPEN = 403, (200, 302)


@pytest.fixture
def browser(client, root):
    client.force_login(root)
    return client


def address(model, page, *arguments):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def test_history_is_read_only_even_for_a_superuser(browser, rows):
    for model in HISTORY:
        row = rows[model]
        assert browser.get(address(model, "add")).status_code == CLOSED, model
        assert browser.post(address(model, "change", row.pk), {}).status_code == CLOSED, model
        assert browser.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == CLOSED, model
        assert model.objects.filter(pk=row.pk).exists()


def test_ticked_rows_of_history_are_not_deleted(browser, rows):
    for model in HISTORY:
        given = {"action": "delete_selected", "_selected_action": [rows[model].pk], "post": "yes"}
        assert browser.post(address(model, "changelist"), given).status_code in OPEN
        assert model.objects.filter(pk=rows[model].pk).exists(), model


@pytest.mark.parametrize("model", [Project, User, Prompt])
def test_nothing_is_deleted_that_judgments_hang_on(browser, rows, project, bob, model):
    row = {Project: project, User: bob, Prompt: Ranking.objects.get().comparison.prompt}[model]
    single = browser.post(address(model, "delete", row.pk), {"post": "yes"})
    assert "which are kept" in single.content.decode()
    given = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    browser.post(address(model, "changelist"), given)
    assert model.objects.filter(pk=row.pk).exists()
    assert Ranking.objects.exists()
    assert "deleted" not in AuditEntry.objects.values_list("action", flat=True)


def test_refusing_reads_nothing_of_what_hangs_on_it(browser, rows, project, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        browser.get(address(Project, "delete", project.pk))


def test_what_has_no_history_can_go_and_that_is_noted(browser, rows, project, mallory):
    prompt = make_prompt(project, "A task that nobody has written for")
    for model, row in ((Prompt, prompt), (User, mallory)):
        assert browser.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 302
        assert not model.objects.filter(pk=row.pk).exists()
    noted = AuditEntry.objects.filter(action__startswith="deleted").order_by("pk")
    assert [entry.action for entry in noted] == ["deleted", "deleted the account"]
    assert noted[0].source == "admin"


def test_inlines_change_nothing(browser, rows, project, bob):
    form = browser.get(address(Project, "change", project.pk)).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value is not None and value is not False}
    member = project.memberships.get(user=bob)
    values |= {
        "flags": '["harmful"]',
        "attribute_scales": "[]",
        "memberships-TOTAL_FORMS": "1",
        "memberships-INITIAL_FORMS": "1",
        "memberships-0-id": str(member.pk),
        "memberships-0-project": str(project.pk),
        "memberships-0-role": "manager",
        "memberships-0-DELETE": "on",
    }
    answer = browser.post(address(Project, "change", project.pk), values)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    member.refresh_from_db()
    assert member.role == "annotator"


def test_no_fewer_judgments_are_wanted_than_were_given(browser, rows):
    row = rows[Ranking].comparison
    values = {"priority": "0", "judgments_wanted": "0", "slots-TOTAL_FORMS": "0", "slots-INITIAL_FORMS": "0"}
    answer = browser.post(address(type(row), "change", row.pk), values)
    assert answer.status_code == 200
    assert "no fewer can be wanted" in answer.content.decode()


def test_settings_that_must_fit_together_are_not_changed_here(browser, rows, project):
    values = {"name": "Help", "slug": "support", "language": "en", "response_format": "ranking"}
    values |= {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}
    assert browser.post(address(Project, "change", project.pk), values).status_code == 302
    project.refresh_from_db()
    assert (project.name, project.response_format) == ("Help", "pairwise")
    entry = AuditEntry.objects.filter(action="changed the settings").get()
    assert entry.changes == {"name": ["Support", "Help"]}


def test_a_change_is_kept_with_what_was_there_before(browser, rows, project, root):
    row = rows[Ranking].comparison
    values = {
        "priority": "2.5",
        "judgments_wanted": "3",
        "slots-TOTAL_FORMS": "0",
        "slots-INITIAL_FORMS": "0",
    }
    answer = browser.post(address(type(row), "change", row.pk), values)
    assert answer.status_code == 302, answer.context["errors"]
    entry = AuditEntry.objects.get(action="changed", object_type="annotator.comparison")
    assert entry.changes == {"priority": [0.0, 2.5], "judgments_wanted": [1, 3]}
    assert (entry.actor, entry.project, entry.source) == (root, project, "admin")
