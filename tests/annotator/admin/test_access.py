"""Every page of every model in the admin, taken from its registry, and what it says to each of the cast."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.urls import reverse

from annotator.admin.base import Group, SiteAdmin
from annotator.models import AuditEntry, Project
from tests.annotator.admin.conftest import MODELS
from tests.factories import make_user

pytestmark = pytest.mark.django_db

NOT_SHOWN = {
    "annotator.Slot": "is shown within its comparison",
    "axes.AccessLog": "is in the audit log",
    "axes.AccessFailureLog": "is in the audit log",
    "axes.AccessAttemptExpiration": "belongs to a way of counting that is not used",
}
PAGES = ("changelist", "add", "change", "delete", "history")
SITE = ("index", "password_change", "jsi18n", "autocomplete", "search")


def url_of(model, page, rows):
    arguments = [] if page in ("changelist", "add") else [rows[model].pk]
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


@pytest.fixture
def staff(db):
    return make_user("staff", is_staff=True)


def test_no_model_is_forgotten():
    labels = ("annotator", "rlhf", "axes")
    all_models = {m._meta.label for label in labels for m in apps.get_app_config(label).get_models()}
    shown = {model._meta.label for model in MODELS}
    assert all_models - shown == {label for label in NOT_SHOWN if label in all_models}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_has_a_place_in_the_side_bar_a_search_and_bounded_lists(model):
    model_admin = admin.site._registry[model]
    assert isinstance(model_admin, SiteAdmin)
    assert model_admin.group is not Group.OTHER, "name its group"
    assert model_admin.search_fields
    assert not model_admin.show_full_result_count


def unexpected(client, rows, pages, expected):
    """{(model, page): status} of what was answered otherwise; all models in one test, since rows are dear."""
    answers = {
        (model._meta.label, page): client.get(url_of(model, page, rows)).status_code
        for model in MODELS
        for page in pages
    }
    return {key: status for key, status in answers.items() if status not in expected}


def test_a_superuser_sees_every_page_that_there_is(client, root, rows):
    client.force_login(root)
    assert unexpected(client, rows, ("changelist", "change", "history"), {200}) == {}
    assert unexpected(client, rows, ("add", "delete"), {200, 403}) == {}


@pytest.mark.parametrize("who", ["alice", "bob", "dana", "mallory"])
def test_who_is_no_staff_gets_nothing_even_a_manager(who, client, rows, request):
    client.force_login(request.getfixturevalue(who))
    assert unexpected(client, rows, PAGES, {302}) == {}
    response = client.get(reverse("admin:index"), follow=True)
    assert response.redirect_chain[0][0].startswith("/admin/login/")
    assert response.status_code == 403
    counts = {model: model._default_manager.count() for model in MODELS}
    for model in MODELS:
        assert client.post(url_of(model, "delete", rows), {"post": "yes"}).status_code == 302
    del counts[AuditEntry]
    assert counts == {model: model._default_manager.count() for model in counts}


def test_visitors_are_sent_to_the_products_own_login(client, rows):
    assert unexpected(client, rows, PAGES, {302}) == {}
    response = client.get(url_of(MODELS[0], "changelist", rows), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("login"))
    assert response.status_code == 200


def test_staff_without_a_right_see_nothing(client, staff, rows):
    client.force_login(staff)
    assert unexpected(client, rows, PAGES, {403}) == {}
    index = client.get(reverse("admin:index"))
    assert index.status_code == 200
    assert [
        url for model in MODELS if (url := url_of(model, "changelist", rows)) in index.content.decode()
    ] == []


def test_staff_who_may_look_may_do_nothing_else(client, staff, rows):
    rights = [(model._meta.app_label, f"view_{model._meta.model_name}") for model in MODELS]
    staff.user_permissions.set(
        right
        for right in Permission.objects.select_related("content_type")
        if (right.content_type.app_label, right.codename) in rights
    )
    client.force_login(staff)
    assert unexpected(client, rows, ("changelist", "change", "history"), {200}) == {}
    assert unexpected(client, rows, ("add", "delete"), {403}) == {}
    for model in MODELS:
        assert client.post(url_of(model, "change", rows), {}).status_code == 403, model
        assert admin.site._registry[model].get_actions(_request(staff)) == {}, model
    index = client.get(reverse("admin:index")).content.decode()
    assert [url for model in MODELS if (url := url_of(model, "changelist", rows)) not in index] == []


@pytest.mark.parametrize("name", SITE)
def test_the_sites_own_pages_are_for_staff(name, client, alice):
    client.force_login(alice)
    assert client.get(reverse(f"admin:{name}")).status_code == 302


def test_the_actions_of_a_model_are_for_those_who_may_change_it(staff, rows):
    run = apps.get_model("rlhf", "Run")
    staff.user_permissions.add(Permission.objects.get(codename="change_run"))
    assert set(admin.site._registry[run].get_actions(_request(staff))) == {"requeue", "cancel"}


def test_only_a_superuser_gives_rights_and_touches_superusers(client, staff, root, mallory):
    for codename in ("view_user", "change_user", "delete_user"):
        staff.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(staff)
    values = {"username": "mallory", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    page = reverse("admin:annotator_user_change", args=[mallory.pk])
    assert client.post(page, values).status_code == 302
    mallory.refresh_from_db()
    assert not (mallory.is_staff or mallory.is_superuser)
    for name in ("annotator_user_change", "annotator_user_delete", "auth_user_password_change"):
        answer = client.post(reverse(f"admin:{name}", args=[root.pk]), {"post": "yes", "password1": "x"})
        assert answer.status_code == 403, name
    url = reverse("admin:annotator_user_changelist")
    client.post(url, {"action": "deactivate", "_selected_action": [root.pk], "confirmed": "yes"})
    root.refresh_from_db()
    assert root.is_active


def test_the_pages_forbid_inline_scripts_and_everything_from_elsewhere(client, root):
    client.force_login(root)
    policy = client.get(reverse("admin:index"))["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";") if " " in rule.strip())
    assert rules["default-src"] == "'self'"
    assert rules["script-src"] == "'self' 'unsafe-eval'"
    assert rules["style-src"] == "'self' 'unsafe-inline'"
    ours = client.get("/")["Content-Security-Policy"]
    assert "unsafe" not in ours


def test_a_search_of_projects_for_a_field_is_for_those_who_may_see_them(client, staff, project):
    client.force_login(staff)
    query = {"app_label": "annotator", "model_name": "membership", "field_name": "project", "term": "S"}
    assert client.get(reverse("admin:autocomplete"), query).status_code == 403
    assert Project.objects.exists()


def _request(user):
    from django.test import RequestFactory

    request = RequestFactory().get("/admin/")
    request.user = type(user).objects.get(pk=user.pk)
    return request
