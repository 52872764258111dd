"""The audit log: one line at each place writes it, nobody takes anything back, and no secret is in it."""

from __future__ import annotations

import json

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from annotator import audit, audit_guard, events
from annotator.models import AppendOnly, AuditEntry, Membership, Project, User
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def the_latest() -> AuditEntry:
    entry = AuditEntry.objects.first()
    assert entry is not None
    return entry


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_it_keeps_who_did_what_to_what_and_what_was_there_before(project, alice):
    audit.record(
        "changed", actor=alice, project=project, target=project, changes={"name": ["Support", "Help"]}
    )
    entry = the_latest()
    assert (entry.actor, entry.actor_name, entry.action, entry.project) == (
        alice,
        "alice",
        "changed",
        project,
    )
    assert (entry.object_type, entry.object_id, entry.object_name) == (
        "annotator.project",
        str(project.pk),
        "Support",
    )
    assert entry.changes == {"name": ["Support", "Help"]}
    assert (entry.source, entry.address) == ("command", None)


def test_an_event_of_a_project_is_an_entry_too(project, alice):
    events.record(project, alice, "imported", "tasks.tsv", "/x/", target=project, details={"lines": 3})
    events.record(project, None, "simulated", "3 rankings")
    events.record(project, AnonymousUser(), "imported")
    nobody, site, hers = AuditEntry.objects.all()[:3]
    assert (hers.action, hers.actor, hers.object_name, hers.details) == (
        "imported",
        alice,
        "tasks.tsv",
        {"lines": 3},
    )
    assert site.actor is None and site.actor_name == "" and nobody.actor is None


def test_secrets_are_said_to_have_changed_and_not_more(project):
    changes = {"password": ["old", "new"], "secret_hash": [None, "abc"], "name": ["a", "b"]}
    audit.record(
        "changed", target=project, changes=changes, details={"token": "t0ps3cret", "n": {"api_key": "k"}}
    )
    entry = the_latest()
    assert entry.changes == {"password": ["…", "…"], "secret_hash": [None, "…"], "name": ["a", "b"]}
    assert "t0ps3cret" not in json.dumps(entry.details) and entry.details["n"]["api_key"] == "…"


def test_long_values_are_cut_and_anything_becomes_json(project, alice):
    audit.record(
        "x" * 99,
        name="y" * 999,
        changes={
            "text": [
                "z" * 999,
                {
                    alice,
                },
            ],
            "when": [project, None],
        },
    )
    entry = the_latest()
    assert (len(entry.action), len(entry.object_name), len(entry.changes["text"][0])) == (64, 300, 501)
    assert entry.changes["text"][1] == ["alice"] and entry.changes["when"] == ["Support", None]


def test_changes_of_a_form():
    class Form(forms.Form):
        name = forms.CharField()
        size = forms.IntegerField()

    form = Form({"name": "new", "size": "3"}, initial={"name": "old", "size": 3})
    assert form.is_valid()
    assert audit.changes_of(form) == {"name": ["old", "new"]}
    assert audit.differences({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {
        "a": [1, None],
        "b": [2, 3],
        "c": [None, 4],
    }


def test_an_entry_is_never_changed_or_deleted_through_the_models(project):
    entry = audit.record("looked", project=project)
    entry.action = "did nothing"
    for attempt in (
        entry.save,
        entry.delete,
        lambda: AuditEntry.objects.update(action="x"),
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.bulk_update([entry], ["action"]),
    ):
        with pytest.raises(AppendOnly):
            attempt()
    entry.refresh_from_db()
    assert entry.action == "looked"


@pytest.mark.parametrize("statement", ["UPDATE {} SET action = 'x'", "DELETE FROM {}"])
def test_the_database_itself_refuses(project, statement):
    audit.record("looked", project=project)
    refused = pytest.raises(DatabaseError, match=audit_guard.REFUSAL)
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(audit_guard.TABLE))
    assert the_latest().action == "looked"


def test_entries_outlive_people_and_projects(project, mallory):
    audit.record("looked", actor=mallory, project=project)
    mallory.delete()
    Project.objects.filter(pk=project.pk).delete()
    entry = AuditEntry.objects.select_related("actor", "project").get(action="looked")
    assert (entry.actor_name, entry.actor, entry.project) == ("mallory", None, None)
    assert entry.actor_id and entry.project_id


def test_signing_in_and_out_and_failing_to(client, bob):
    client.post(reverse("login"), {"username": "bob", "password": "wrong"}, REMOTE_ADDR="192.0.2.7")
    client.post(reverse("login"), {"username": "bob", "password": "bob"}, REMOTE_ADDR="192.0.2.7")
    client.post(reverse("logout"))
    failed, signed_in, signed_out = AuditEntry.objects.order_by("pk").exclude(action="made the account")[:3]
    assert (failed.action, failed.actor, failed.object_name) == ("failed to sign in", None, "bob")
    assert (signed_in.action, signed_in.actor, signed_in.source) == ("signed in", bob, "page")
    assert (signed_in.address, signed_out.action) == ("192.0.2.7", "signed out")


def test_what_somebody_typed_for_a_name_is_not_kept(client, db):
    client.post(reverse("login"), {"username": "my-secret-passphrase", "password": "x"})
    assert "my-secret" not in str(list(AuditEntry.objects.values()))
    assert the_latest().action == "failed to sign in"


def test_a_lock_out_is_noted_once(client, bob, settings):
    settings.AXES_FAILURE_LIMIT = 3
    for _try in range(6):
        client.post(reverse("login"), {"username": "bob", "password": "wrong"})
    assert actions().count("failed to sign in") == 2
    assert actions().count("was locked out") == 1


def test_addresses_are_not_kept_where_the_site_says_so(client, bob, settings):
    settings.AUDIT_ADDRESSES = False
    client.post(reverse("login"), {"username": "bob", "password": "bob"})
    assert the_latest().address is None


def test_accounts_and_passwords(client, db):
    bob = make_user("bob", is_staff=True)
    assert (the_latest().action, the_latest().details) == ("made the account", {"is_staff": True})
    bob.first_name = "Bob"
    bob.save()
    assert the_latest().action == "made the account"
    client.force_login(bob)
    new = "a new long password"
    given = {"old_password": "bob", "new_password1": new, "new_password2": new}
    client.post(reverse("password-change"), given)
    entry = AuditEntry.objects.filter(action="changed the password of").get()
    assert (entry.actor, entry.object_name, entry.source) == (bob, "bob", "page")
    bob.delete()
    assert (the_latest().action, the_latest().object_name) == ("deleted the account", "bob")


def test_a_stronger_hash_of_the_same_password_is_no_new_password(client, bob, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    client.post(reverse("login"), {"username": "bob", "password": "bob"})
    assert User.objects.get(pk=bob.pk).password.startswith("pbkdf2")
    assert "changed the password of" not in actions()


def test_roles_before_and_after(client_of, project, alice, bob):
    member = Membership.objects.get(user=bob)
    client_of(alice).post(reverse("member-change", args=[project.slug, member.pk]), {"role": "researcher"})
    entry = the_latest()
    assert (entry.action, entry.actor, entry.object_id) == ("changed", alice, str(member.pk))
    assert entry.changes == {"role": ["annotator", "researcher"]}
    client_of(alice).post(reverse("member-remove", args=[project.slug, member.pk]))
    assert (the_latest().action, the_latest().changes) == ("removed", {"role": ["researcher", None]})


def test_settings_before_and_after(client_of, project, alice):
    page = client_of(alice).get(reverse("settings", args=[project.slug]))
    values = {
        name: value
        for name, value in page.context["form"].initial.items()
        if value is not None and value is not False
    }
    values |= {"name": "Help desk", "flags": "harmful"}
    answer = client_of(alice).post(reverse("settings", args=[project.slug]), values)
    assert answer.status_code == 302, answer.context["form"].errors
    entry = AuditEntry.objects.filter(action="changed the settings").get()
    assert entry.changes["name"] == ["Support", "Help desk"]


def test_the_api_is_named_as_the_way(project, alice):
    client = Client()
    client.force_login(alice)
    client.get(f"/api/projects/{project.slug}/exports/trl/")
    assert (the_latest().action, the_latest().source) == ("exported", "api")


def test_pruning_takes_what_is_old_and_says_so(project, capsys):
    old = audit.record("looked", project=project)
    with audit_guard.taken_down(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {audit_guard.TABLE} SET at = '2020-01-01' WHERE id = {old.pk}")
    kept = audit.record("looked again", project=project)
    call_command("prune_audit", days=365)
    assert not AuditEntry.objects.filter(pk=old.pk).exists()
    assert AuditEntry.objects.filter(pk=kept.pk).exists()
    assert (the_latest().action, the_latest().details["entries"]) == ("pruned the audit log", 1)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {audit_guard.TABLE}")


def test_it_refuses_to_prune_what_is_young():
    with pytest.raises(Exception, match="at least 30"):
        call_command("prune_audit", days=1)


@pytest.mark.django_db(transaction=True)
def test_emptying_the_database_is_the_one_way_out_and_the_guard_stands_again():
    audit.record("looked")
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()
    audit.record("looked")
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {audit_guard.TABLE}")
