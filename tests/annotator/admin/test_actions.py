"""Actions: what they do, what they ask first, what they tell, and what the audit log keeps of them."""

import pytest
from axes.models import AccessAttempt
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotator import invitations
from annotator.admin import actions
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.models import (
    Assignment,
    AuditEntry,
    Comparison,
    Event,
    Export,
    Invitation,
    Membership,
    Note,
    Project,
    Role,
)
from annotator.prompts import importing
from annotator.ranking import queue
from rlhf import runs
from rlhf.models import Run
from tests.factories import make_comparison

pytestmark = pytest.mark.django_db


@pytest.fixture
def act(client, root):
    """act(action, row, …): ticked and confirmed; the messages that follow."""
    client.force_login(root)

    def do(action, *rows, confirmed=True):
        model = type(rows[0])
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        given = {"action": action, "_selected_action": [row.pk for row in rows]}
        if not confirmed:
            return client.post(url, given)
        response = client.post(url, given | {"confirmed": "yes"}, follow=True)
        return [str(message) for message in response.context["messages"]]

    return do


@pytest.fixture
def not_sent(monkeypatch):
    sent = []
    monkeypatch.setattr(importing, "send_import", lambda pk: sent.append(pk) or True)
    monkeypatch.setattr(runs, "send", lambda pk: sent.append(pk) or True)
    return sent


def test_pausing_a_person_and_lifting_it(act, root, project, bob):
    member = Membership.objects.get(user=bob)
    make_comparison(project)
    held = queue.claim_next(annotator=bob, project=project)
    assert act("pause", member) == ["Pause: give no comparisons any more: 1 done."]
    held.refresh_from_db()
    assert held.state == Assignment.State.RELEASED
    assert queue.claim_next(annotator=bob, project=project) is None
    assert act("pause", member) == ["Pause: give no comparisons any more: 0 done. 1 was left as it is."]
    member.refresh_from_db()
    act("resume", member)
    assert queue.claim_next(annotator=bob, project=project) is not None
    entries = AuditEntry.objects.filter(object_type="annotator.membership").order_by("pk")
    assert [(entry.action, entry.actor, entry.source) for entry in entries] == [
        ("paused", root, "admin"),
        ("resumed", root, "admin"),
    ]


def test_pausing_a_project_stops_what_is_handed_out_and_not_what_is_held(act, client_of, project, bob):
    make_comparison(project)
    make_comparison(project)
    held = queue.claim_next(annotator=bob, project=project)
    assert "confirmed" in act("pause", project, confirmed=False).content.decode()
    assert Project.objects.get().paused_at is None
    act("pause", project)
    project.refresh_from_db()
    assert queue.claim_next(annotator=bob, project=project) is None
    held.refresh_from_db()
    assert held.state == Assignment.State.LEASED
    page = client_of(bob).get(reverse("rank", args=[project.slug])).content.decode()
    assert "The project is paused" in page
    following = client_of(bob).post(
        reverse("rank-next", args=[project.slug]), "{}", content_type="application/json"
    )
    assert following.status_code == 409
    assert "paused" in client_of(bob).get("/").content.decode()
    act("resume", project)
    project.refresh_from_db()
    assert queue.claim_next(annotator=bob, project=project) is not None
    assert list(Event.objects.order_by("pk").values_list("verb", flat=True)) == [
        "paused the project",
        "resumed the project",
    ]


def test_closing_and_reopening(act, project, bob):
    comparison = make_comparison(project)
    act("close", comparison)
    assert queue.claim_next(annotator=bob, project=project) is None
    act("reopen", comparison)
    assert queue.claim_next(annotator=bob, project=project) is not None
    entries = AuditEntry.objects.filter(object_type="annotator.comparison").order_by("pk")
    assert [(entry.action, entry.project) for entry in entries] == [
        ("closed", project),
        ("reopened", project),
    ]


@pytest.mark.parametrize("by", ["assignment", "comparison"])
def test_releasing_leases(act, project, bob, by):
    make_comparison(project)
    assignment = queue.claim_next(annotator=bob, project=project)
    row = assignment if by == "assignment" else assignment.comparison
    assert act("release", row, confirmed=False).status_code == 200
    assert Assignment.objects.get().state == Assignment.State.LEASED
    act("release", row)
    assert Assignment.objects.get().state == Assignment.State.RELEASED
    assert Comparison.objects.get().judgments_taken == 0
    assert AuditEntry.objects.filter(action__startswith="released").get().project == project


def test_an_import_inspected_once_more_cancelled_and_undone(
    act, project, alice, not_sent, django_capture_on_commit_callbacks
):
    file = ContentFile(b"Say which kind.\tSort the commits.\nName it.\tWhat is missing?\n", "tasks.txt")
    batch = importing.create_import(
        project=project, name="tasks.txt", file=file, user=alice, default_domain="code", send=False
    )
    importing.cancel_import(batch)
    with django_capture_on_commit_callbacks(execute=True):
        act("requeue", batch)
    batch.refresh_from_db()
    assert (batch.state, batch.error, not_sent) == ("queued", "", [batch.pk])
    act("cancel", batch)
    batch.refresh_from_db()
    assert batch.state == "cancelled"
    assert act("cancel", batch) == ["Cancel: 0 done. 1 was left as it is."]
    act("requeue", batch)
    importing.import_now(batch)
    assert batch.state == "done", batch.error
    assert project.prompts.count() == 2
    assert "where people have worked" in act("undo", batch, confirmed=False).content.decode()
    assert act("undo", batch) == ["Undo: 1 done."]
    assert project.prompts.count() == 0
    assert act("undo", batch) == ["Undo: 0 done. 1 was left as it is."]
    entries = AuditEntry.objects.filter(object_type="annotator.promptimport").order_by("pk")
    assert [entry.action for entry in entries] == [
        *("requeued the import", "cancelled the import", "requeued the import")
    ]
    assert AuditEntry.objects.filter(action="undid the import of", source="admin").exists()


def test_an_export_cancelled_repeated_and_deleted(act, project, alice, root):
    export = jobs.create(project=project, recipe=Recipe("raw"), user=alice, send_it=False)
    act("cancel", export)
    export.refresh_from_db()
    assert export.state == "cancelled"
    assert act("repeat", export) == ["Make once more, as a new one: 1 done."]
    again = Export.objects.latest("pk")
    assert (again.repeats, again.created_by, again.recipe) == (export, root, export.recipe)
    assert act("remove", again, confirmed=False).status_code == 200
    act("remove", again)
    assert list(Export.objects.all()) == [export]
    entries = AuditEntry.objects.filter(action__contains="export", source="admin").order_by("pk")
    assert [entry.action for entry in entries] == ["cancelled the export", "exported", "deleted the export"]


def test_a_run_cancelled_and_put_back(act, project, root, not_sent, django_capture_on_commit_callbacks):
    run = Run.objects.create(project=project, kind=Run.Kind.SCORING)
    act("cancel", run)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    with django_capture_on_commit_callbacks(execute=True):
        act("requeue", run)
    run.refresh_from_db()
    assert (run.state, not_sent) == (Run.State.QUEUED, [run.pk])
    told = act("requeue", run)
    assert told[0].startswith(f"{run}: Only a failed or cancelled run")
    entries = AuditEntry.objects.filter(object_type="rlhf.run").order_by("pk")
    assert [(entry.action, entry.actor) for entry in entries] == [("cancelled", root), ("resumed", root)]


def test_revoking_an_invitation(act, project, alice):
    invitation, secret = invitations.make(
        project=project, by=alice, role=Role.ANNOTATOR, lasts=timezone.timedelta(days=1)
    )
    page = act("revoke", invitation, confirmed=False).content.decode()
    assert "Nobody can join by these links any more" in page and secret not in page
    act("revoke", invitation)
    assert invitations.state_of(Invitation.objects.get()) == "revoked"
    assert AuditEntry.objects.filter(action="revoked an invitation").count() == 1


def test_deactivating_an_account(act, client_of, root, project, bob):
    make_comparison(project)
    queue.claim_next(annotator=bob, project=project)
    browser = client_of(bob)
    act("deactivate", bob)
    assert browser.get("/").status_code == 302
    assert Assignment.objects.get().state == Assignment.State.RELEASED
    assert act("deactivate", root)[0] == "root: this is you."
    act("activate", bob)
    bob.refresh_from_db()
    assert bob.is_active


def test_unlocking_somebody(act, bob, settings):
    settings.AXES_FAILURE_LIMIT = 2
    client = Client()
    for _try in range(3):
        client.post(reverse("login"), {"username": "bob", "password": "wrong"})
    assert client.post(reverse("login"), {"username": "bob", "password": "bob"}).status_code == 429
    act("unlock", AccessAttempt.objects.get())
    assert client.post(reverse("login"), {"username": "bob", "password": "bob"}).status_code == 302
    assert AuditEntry.objects.filter(action="unlocked").exists()


def test_a_note_done_and_open_again(act, project, bob, root):
    note = Note.objects.create(project=project, author=bob, text="The example is wrong.")
    act("done", note)
    note.refresh_from_db()
    assert note.done_at is not None and note.done_by == root
    act("not_done", note)
    note.refresh_from_db()
    assert note.done_at is None


def test_it_does_nothing_to_more_than_it_can_look_at(act, project, monkeypatch):
    monkeypatch.setattr(actions, "MOST", 1)
    rows = [make_comparison(project), make_comparison(project)]
    assert act("close", *rows) == ["At most 1 at once. Nothing was done; choose fewer."]
    assert not Comparison.objects.filter(is_closed=True).exists()


def test_the_last_manager_stays(act, client, project, alice):
    member = Membership.objects.get(user=alice)
    page = reverse("admin:annotator_membership_change", args=[member.pk])
    assert client.post(page, {"role": "annotator"}).status_code == 200
    delete = reverse("admin:annotator_membership_delete", args=[member.pk])
    assert "the last manager" in client.post(delete, {"post": "yes"}).content.decode()
    member.refresh_from_db()
    assert member.role == "manager"


def test_a_member_who_is_removed_lets_go_what_they_hold(act, client, project, alice, bob):
    make_comparison(project)
    queue.claim_next(annotator=bob, project=project)
    member = Membership.objects.get(user=bob)
    client.post(reverse("admin:annotator_membership_delete", args=[member.pk]), {"post": "yes"})
    assert Assignment.objects.get().state == Assignment.State.RELEASED
    assert Event.objects.get().verb == "removed"
