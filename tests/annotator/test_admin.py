"""The admin shows every model, and lets nobody change what was said."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from annotator import events
from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    Event,
    Export,
    GoldAnswer,
    Invitation,
    Membership,
    Note,
    PromptImport,
    QualityReport,
    Ranking,
    Withdrawal,
)
from annotator.ranking import queue
from tests.factories import make_comparison, make_guideline, make_ranking, make_user

pytestmark = pytest.mark.django_db

OURS = [model for model in admin.site._registry if model._meta.app_label == "annotator"]
HISTORY = [Ranking, Assignment, Event, Completion, PromptImport, GoldAnswer, Invitation, QualityReport]
HISTORY += [Export, Withdrawal]


@pytest.fixture
def root(client):
    user = make_user("root", is_superuser=True, is_staff=True)
    client.force_login(user)
    return user


@pytest.fixture
def rows(project, bob):
    make_guideline(project)
    make_comparison(project)
    make_ranking(project, bob)
    PromptImport.objects.create(project=project, name="tasks.tsv")
    events.record(project, bob, "looked")
    GoldAnswer.objects.create(comparison=Comparison.objects.first(), ranks={})
    Export.objects.create(project=project, name="Everything", recipe={"format": "raw"}, created_by=bob)
    Withdrawal.objects.create(project=project, annotator=bob)
    Invitation.objects.create(project=project, secret_hash="0" * 64, expires_at=timezone.now())
    Note.objects.create(project=project, author=bob, text="The example is wrong.")
    QualityReport.objects.create(project=project, last_ranking=1, seconds=0.1, computed_at=timezone.now())


def test_every_model_is_there():
    missing = set(apps.get_app_config("annotator").get_models()) - set(OURS)
    assert {model._meta.model_name for model in missing} == {"slot"}, "slots are shown in their comparison"


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.model_name)
def test_the_lists_and_the_rows_can_be_looked_at(client, root, rows, model):
    name = f"admin:annotator_{model._meta.model_name}"
    assert client.get(reverse(f"{name}_changelist"), {"q": "x"}).status_code == 200
    assert client.get(reverse(f"{name}_change", args=[model.objects.first().pk])).status_code == 200


@pytest.mark.parametrize("model", HISTORY, ids=lambda model: model._meta.model_name)
def test_history_is_read_only_even_for_a_superuser(client, root, rows, model):
    name = f"admin:annotator_{model._meta.model_name}"
    row = model.objects.first()
    assert client.get(reverse(f"{name}_add")).status_code == 403
    assert client.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
    assert client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_a_judged_project_cannot_be_deleted(client, root, rows, project):
    url = reverse("admin:annotator_project_delete", args=[project.pk])
    assert client.post(url, {"post": "yes"}).status_code == 403
    assert Ranking.objects.exists()


def test_a_guideline_is_followed_not_changed(client, root, rows, project):
    url = reverse("admin:annotator_guideline_change", args=[project.guideline.pk])
    assert client.post(url, {"text": "Other"}).status_code == 403


def test_others_do_not_get_in(client, project, alice, bob, mallory):
    for user in (alice, bob, mallory):
        client.force_login(user)
        assert client.get("/admin/annotator/ranking/").status_code == 302


def act(client, model, action, *rows):
    url = reverse(f"admin:annotator_{model}_changelist")
    return client.post(url, {"action": action, "_selected_action": [row.pk for row in rows]})


def test_pausing_and_resuming(client, root, project, bob):
    membership = Membership.objects.get(user=bob)
    act(client, "membership", "pause", membership)
    make_comparison(project)
    assert queue.claim_next(annotator=bob, project=project) is None
    act(client, "membership", "resume", membership)
    assert queue.claim_next(annotator=bob, project=project) is not None


def test_closing_and_reopening(client, root, project, bob):
    comparison = make_comparison(project)
    act(client, "comparison", "close", comparison)
    assert queue.claim_next(annotator=bob, project=project) is None
    act(client, "comparison", "reopen", comparison)
    assert queue.claim_next(annotator=bob, project=project) is not None


def test_releasing_leases(client, root, project, bob):
    make_comparison(project)
    act(client, "assignment", "release", queue.claim_next(annotator=bob, project=project))
    assert Assignment.objects.get().state == Assignment.State.RELEASED
    assert Comparison.objects.get().judgments_taken == 0
