"""How far the work has come."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from annotator.models import Comparison, QualityReport, Ranking
from annotator.quality import progress
from annotator.ranking import queue
from annotator.ranking.submit import undo
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking

pytestmark = pytest.mark.django_db


def test_an_annotators_day(project, bob, carol):
    for seconds in (1.0, 9.0, 2.0):
        make_comparison(project)
        make_ranking(project, bob, seconds=seconds)
    make_comparison(project)
    make_ranking(project, carol, seconds=100.0)
    old = Ranking.objects.filter(annotator=bob).first()
    Ranking.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    assert progress.of_annotator(bob, project) == progress.AnnotatorProgress(today=2, total=3, seconds=2.0)


def test_nothing_yet(project, bob):
    assert progress.of_annotator(bob, project) == progress.AnnotatorProgress(today=0, total=0, seconds=None)


def test_what_was_undone_does_not_count(project, bob):
    make_comparison(project)
    undo(annotator=bob, ranking=make_ranking(project, bob), idempotency_key="u")
    assert progress.of_annotator(bob, project).total == 0


def test_other_projects_do_not_count(project, bob):
    other = make_project()
    make_member(other, user=bob)
    make_comparison(other)
    make_ranking(other, bob)
    assert progress.of_annotator(bob, project).total == 0


def test_the_day_begins_at_local_midnight(settings):
    with timezone.override("Asia/Shanghai"):
        start = progress.start_of_day()
    local = datetime.now(ZoneInfo("Asia/Shanghai"))
    assert (start.hour, start.minute, start.utcoffset()) == (0, 0, timedelta(hours=8))
    assert start.date() == local.date()


def test_a_project(project, bob, carol):
    project.held_out_share = 0
    project.save()
    make_prompt(project)
    make_comparison(project, wanted=3)
    make_comparison(project)
    closed = make_comparison(project)
    Comparison.objects.filter(pk=closed.pk).update(is_closed=True)
    make_ranking(project, bob, seconds=3)
    queue.claim_next(annotator=carol, project=project)
    counts = progress.of_project(project)
    assert (counts.prompts, counts.held_out, counts.completions, counts.comparisons) == (4, 0, 6, 3)
    assert (counts.judgments, counts.annotators, counts.today, counts.last_hour) == (1, 1, 1, 1)
    assert counts.remaining == 2  # 3 - 1 given - 1 being given, and 1
    assert counts.seconds == 3
    assert project.comparisons.open().count() == 2


def test_what_waits_for_a_person(project, bob, carol):
    for _ in range(3):
        make_comparison(project, wanted=2)
    make_ranking(project, bob)
    assert progress.waiting_for(bob, project) == 2
    assert progress.waiting_for(carol, project) == 3


def test_waiting_is_counted_up_to_a_limit(project, bob, monkeypatch):
    monkeypatch.setattr(progress, "WAITING_CAP", 2)
    for _ in range(3):
        make_comparison(project)
    assert progress.waiting_for(bob, project) == 2


def test_today_is_counted_by_its_index(project, bob, django_assert_num_queries):
    make_comparison(project)
    make_ranking(project, bob)
    with django_assert_num_queries(1) as queries:
        assert progress.today_of(bob, project) == 1
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + queries.captured_queries[0]["sql"])
            assert "ranking_by_day" in str(cursor.fetchall())


def test_own_quality_is_shown_where_the_project_says_so(project, bob):
    make_comparison(project)
    make_ranking(project, bob, seconds=4)
    assert progress.own_quality(bob, project) is None
    project.show_own_quality = True
    assert progress.own_quality(bob, project) == progress.OwnQuality(seconds=4, agreement=None, pairs=0)


def test_own_agreement_comes_from_the_stored_report(project, bob, carol):
    project.show_own_quality = True
    QualityReport.objects.create(
        project=project,
        last_ranking=1,
        seconds=0.1,
        computed_at=timezone.now(),
        figures={"own": {str(bob.pk): {"agreement": 0.75, "pairs": 8}}},
    )
    assert progress.own_quality(bob, project) == progress.OwnQuality(seconds=None, agreement=0.75, pairs=8)
    assert progress.own_quality(carol, project).agreement is None
