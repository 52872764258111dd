"""The periodic tasks of the human side."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotator import tasks
from annotator.models import Assignment, Comparison
from annotator.ranking import queue
from tests.factories import make_comparison

pytestmark = pytest.mark.django_db


def test_the_sweep_ends_all_expired_leases_however_many(project, bob, carol, monkeypatch):
    monkeypatch.setattr(queue.sweep_expired, "__defaults__", (1,))
    for person in (bob, carol):
        make_comparison(project)
        queue.claim_next(annotator=person, project=project)
    Assignment.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert tasks.sweep_leases() == 2
    assert not Comparison.objects.filter(judgments_taken__gt=0).exists()
    assert tasks.sweep_leases() == 0


def test_they_are_on_the_schedule_under_their_names(settings):
    from annotator.site.celery import app

    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        if entry["task"].startswith("annotator."):
            assert entry["task"] in app.tasks
