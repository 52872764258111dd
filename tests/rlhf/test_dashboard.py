"""The admin's first page: the figures that matter, for those who may see them."""

import shutil
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from annotator import pausing
from annotator.models import Assignment, PromptImport
from annotator.ranking import queue
from rlhf import dashboard
from rlhf.models import Run
from tests.factories import make_comparison, make_ranking, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def figures(client):
    """figures(user): {label: figure} as they see it."""

    def look(user):
        client.force_login(user)
        context = client.get(reverse("admin:index")).context
        return {figure.label: figure for part in context["dashboard"] for figure in part["figures"]}

    return look


@pytest.fixture
def root(db):
    return make_user("root", is_superuser=True, is_staff=True)


def test_what_waits_and_what_is_stuck(figures, root, project, bob, alice):
    for _ in range(3):
        make_comparison(project)
    make_ranking(project, bob)
    queue.claim_next(annotator=bob, project=project)
    now = timezone.now()
    Run.objects.create(
        project=project, kind="scoring", state="running", heartbeat_at=now - timedelta(minutes=5)
    )
    Run.objects.create(project=project, kind="reward", state="failed")
    PromptImport.objects.create(project=project, name="tasks.tsv", state="failed")
    old = PromptImport.objects.create(project=project, name="old.tsv", state="failed")
    PromptImport.objects.filter(pk=old.pk).update(created_at=now - timedelta(days=8))
    pausing.pause(project, root)
    seen = figures(root)
    values = {label: figure.value for label, figure in seen.items()}
    assert values["Comparisons in the queue"] == "1"
    assert (values["Open leases"], values["Judgments in 24 hours"]) == ("1", "1")
    assert (values["Runs under way"], values["Stuck runs"], values["Failed runs in 7 days"]) == (
        "1",
        "1",
        "1",
    )
    assert (values["Failed imports in 7 days"], values["Paused projects"]) == ("1", "1")
    assert seen["Stuck runs"].attention and not seen["Open leases"].attention


def test_leases_that_nobody_gives_back_ask_for_attention(figures, root, project, bob):
    make_comparison(project)
    queue.claim_next(annotator=bob, project=project)
    Assignment.objects.update(leased_until=timezone.now() - timedelta(hours=1))
    overdue = figures(root)["Leases past their end"]
    assert (overdue.value, overdue.attention) == ("1", True)


def test_links_lead_to_what_is_counted(figures, client, root, project, bob):
    make_comparison(project)
    held = queue.claim_next(annotator=bob, project=project)
    for label, figure in figures(root).items():
        if figure.link:
            assert client.get(figure.link).status_code == 200, label
    rows = client.get(figures(root)["Open leases"].link).context["cl"].result_list
    assert [row.pk for row in rows] == [held.pk]


def test_large_numbers_are_not_counted_to_their_end(figures, root, project, monkeypatch):
    monkeypatch.setattr(dashboard, "MOST", 2)
    for _ in range(3):
        make_comparison(project)
    assert figures(root)["Comparisons in the queue"].value == "2+"


def test_the_disk_and_a_broker_that_is_not_there(figures, root, monkeypatch, settings):
    seen = figures(root)
    assert seen["Broker"].attention and "reached" in seen["Broker"].value
    assert "GiB" in seen["Free space"].value
    usage = shutil.disk_usage(settings.VAR)
    monkeypatch.setattr(dashboard.shutil, "disk_usage", lambda path: usage._replace(free=usage.total // 50))
    assert figures(root)["Free space"].attention


def test_staff_see_what_they_may(figures, client, project):
    staff = make_user("staff", is_staff=True)
    assert figures(staff) == {}
    assert "You have no rights here yet" in client.get(reverse("admin:index")).content.decode()
    staff.user_permissions.add(Permission.objects.get(codename="view_run"))
    seen = figures(type(staff).objects.get(pk=staff.pk))
    assert set(seen) == {"Runs under way", "Stuck runs", "Failed runs in 7 days"}
    assert "latest" not in client.get(reverse("admin:index")).context
