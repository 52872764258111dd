"""Querysets compiled once say the same as querysets compiled each time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from annotator.models import Assignment, Comparison, Event, Membership, Project
from annotator.prepared import Given, Insert, Select, Update, an_id
from tests.factories import make_comparison, make_project

pytestmark = pytest.mark.django_db


def test_it_gives_instances_with_what_is_joined(project, bob, django_assert_num_queries):
    part = Select(lambda: Membership.objects.select_related("project", "user").filter(user=an_id("user")))
    for _ in range(2):
        with django_assert_num_queries(1):
            (found,) = part(user=bob.pk)
            assert (found.project, found.user, found.role) == (project, bob, "annotator")
    assert found == Membership.objects.get(user=bob)
    assert part(user=0) == []
    assert part.first(user=10**30) is None  # no row can have that id


def test_it_gives_tuples_with_python_values(project, bob):
    make_comparison(project)
    assignment = Assignment.objects.create(
        comparison=Comparison.objects.get(), annotator=bob, order=[2, 1], leased_until=timezone.now()
    )
    rows = Select(
        lambda: (
            Assignment.objects.filter(annotator=an_id("annotator"))
            .order_by("pk")
            .values_list("order", "leased_until", "annotator__is_active")
        )
    )
    assert rows(annotator=bob.pk) == [([2, 1], assignment.leased_until, True)]
    assert rows.first(annotator=bob.pk + 1) is None


def test_text_is_given_as_a_parameter(project):
    by_slug = Select(lambda: Project.objects.filter(slug=Given("slug", models.CharField())))
    assert by_slug.first(slug=project.slug) == project
    assert by_slug(slug="' OR 1=1 --") == []


def test_an_update_tells_how_many_rows_changed(project):
    comparison = make_comparison(project, wanted=1)
    take = Update(
        lambda: Comparison.objects.open().filter(pk=an_id("comparison")),
        judgments_taken=F("judgments_taken") + 1,
    )
    assert [take(comparison=comparison.pk) for _ in range(2)] == [1, 0]
    comparison.refresh_from_db()
    assert comparison.judgments_taken == 1


def test_an_insert_gives_what_the_database_made_of_it(project, bob):
    comparison = make_comparison(project)
    lease = Insert(
        Assignment,
        returning=("id", "leased_until"),
        leased_until=Now() + Given("lease", models.DurationField()),
    )
    pk, until = lease(
        comparison_id=comparison.pk,
        annotator_id=bob.pk,
        state="leased",
        order=[1],
        skip_reason="",
        created_at=timezone.now(),
        lease=timedelta(hours=2),
    )
    stored = Assignment.objects.get(pk=pk)
    assert (stored.leased_until, stored.order, stored.annotator) == (until, [1], bob)
    assert timedelta(minutes=119) < until - timezone.now() < timedelta(minutes=121)


def test_an_insert_needs_every_field(project):
    with pytest.raises(KeyError, match="verb"):
        Insert(Event)(project_id=project.pk, actor_id=None)


def test_the_sql_is_compiled_once(project, bob):
    built = []

    def build():
        built.append(1)
        return Project.objects.filter(pk=an_id("project"))

    select = Select(build)
    other = make_project()
    assert [select.first(project=row.pk) for row in (project, other, project)] == [project, other, project]
    assert len(built) == 1
