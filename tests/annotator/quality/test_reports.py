"""The stored report: its figures by hand, and when it is computed."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from annotator import tasks
from annotator.models import Assignment, Comparison, QualityReport, Ranking, Slot
from annotator.quality import reports, tables
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit, undo
from tests.annotator.quality.test_agreement import judge
from tests.factories import make_comparison, make_member, make_project, make_prompt, make_ranking, make_user

pytestmark = pytest.mark.django_db


def test_the_figures_are_json_and_right(project, bob, carol):
    for ranks in ((1, 2), (1, 2), (2, 1)):
        judge(project, (bob, ranks), (carol, ranks))
    judge(project, (bob, (1, 2)), (carol, (2, 1)))
    figures = json.loads(json.dumps(reports.compute(project).figures))
    found = figures["agreement"]["all"]
    assert (found["pairwise"]["value"], found["pairwise"]["pairs"], found["prompts"]) == (0.75, 4, 4)
    assert found["tau"]["value"] == 0.5  # (1 + 1 + 1 - 1) / 4
    assert figures["agreement"]["people"] is None  # the same as all
    assert figures["own"][str(bob.pk)] == {"agreement": 0.75, "pairs": 4}
    row = figures["people"][str(carol.pk)]
    assert (row["judgments"], row["tie_share"], row["gold"], row["self_agreement"]) == (4, 0, None, None)
    reliability = row["reliability"]
    assert reliability["low"] < reliability["value"] < reliability["high"]
    assert figures["daily"] == {timezone.localdate().isoformat(): 8}
    assert sum(figures["hourly"].values()) == 8


def test_slices_and_periods(project, bob, carol):
    code = make_prompt(project, domain="code", language="zh-hans")
    judge(project, (bob, (1, 2)), (carol, (1, 2)))
    make_comparison(project, code, wanted=2, iteration=2)
    for who, first in ((bob, 0), (carol, 1)):
        make_ranking(project, who, first=first)
    Ranking.objects.filter(comparison__prompt=code).update(created_at=timezone.now() - timedelta(days=3))
    agreement = reports.compute(project).figures["agreement"]

    def values(rows):
        return {row["value"]: row["pairwise"]["value"] for row in rows}

    assert values(agreement["slices"]["domain"]) == {"general": 1, "code": 0}
    assert values(agreement["slices"]["language"]) == {"en": 1, "zh-hans": 0}
    assert values(agreement["slices"]["iteration"]) == {1: 1, 2: 0}
    assert [row["pairwise"]["value"] for row in agreement["periods"]] == [0, 1]
    assert not agreement["by_week"]


def test_over_a_long_time_weeks_are_shown(project, bob, carol):
    judge(project, (bob, (1, 2)), (carol, (1, 2)))
    judge(project, (bob, (1, 2)), (carol, (1, 2)))
    first = Comparison.objects.earliest("pk")
    Ranking.objects.filter(comparison=first).update(created_at=timezone.now() - timedelta(days=60))
    agreement = reports.compute(project).figures["agreement"]
    assert agreement["by_week"]
    assert all(timezone.datetime.fromisoformat(row["value"]).weekday() == 0 for row in agreement["periods"])


def test_people_are_measured_apart_from_simulated_ones(project, bob, carol):
    robots = [make_member(project, user=make_user(name, is_simulated=True)) for name in ("r1", "r2")]
    judge(project, (bob, (1, 2)), (carol, (1, 2)), (robots[0], (1, 2)), (robots[1], (2, 1)))
    agreement = reports.compute(project).figures["agreement"]
    assert (agreement["all"]["pairwise"]["value"], agreement["all"]["pairwise"]["pairs"]) == (0.5, 6)
    assert (agreement["people"]["pairwise"]["value"], agreement["people"]["pairwise"]["pairs"]) == (1, 1)


def beside_the_queue(comparison, annotator, ranks, *, rule, gold_score=None):
    """The annotator's answer to a gold question or a repeat of the comparison."""
    is_repeat = rule == Comparison.Rule.REPEAT
    asked = Comparison.objects.create(
        project=comparison.project,
        prompt=comparison.prompt,
        completions_key=comparison.completions_key,
        rule=rule,
        is_queued=False,
        reserved_for=annotator if is_repeat else None,
        repeats=comparison if is_repeat else None,
        judgments_taken=1,
    )
    texts = [slot.completion_id for slot in comparison.slots.all()]
    Slot.objects.bulk_create(
        Slot(comparison=asked, completion_id=pk, position=i) for i, pk in enumerate(texts)
    )
    held = Assignment.objects.create(
        comparison=asked,
        annotator=annotator,
        order=texts,
        leased_until=timezone.now(),
        state=Assignment.State.SUBMITTED,
    )
    Ranking.objects.create(
        comparison=asked,
        assignment=held,
        annotator=annotator,
        ranks=dict(zip(map(str, sorted(texts)), ranks, strict=True)),
        order=texts,
        idempotency_key=f"beside-{asked.pk}",
        gold_score=gold_score,
    )


def test_repeats_and_gold_questions_tell_of_the_annotator_alone(project, bob, carol):
    for _ in range(2):
        judge(project, (bob, (1, 2)), (carol, (1, 2)))
    one, other = Comparison.objects.order_by("pk")
    beside_the_queue(one, bob, (1, 2), rule=Comparison.Rule.REPEAT)
    beside_the_queue(other, bob, (2, 1), rule=Comparison.Rule.REPEAT)
    beside_the_queue(one, carol, (1, 2), rule=Comparison.Rule.GOLD, gold_score=0.25)
    figures = reports.compute(project).figures
    rows = figures["people"]
    assert (rows[str(bob.pk)]["self_agreement"], rows[str(bob.pk)]["repeat_pairs"]) == (0.5, 2)
    assert (rows[str(carol.pk)]["gold"], rows[str(carol.pk)]["golds"]) == (0.25, 1)
    assert rows[str(bob.pk)]["judgments"] == 4
    assert figures["agreement"]["all"]["pairwise"]["pairs"] == 2
    assert sum(figures["daily"].values()) == 4  # what the queue waits for


def test_who_prefers_what_is_shown_first(project, bob):
    for _ in range(4):
        make_comparison(project)
        held = queue.claim_next(annotator=bob, project=project)
        first, second = held.order
        judgment = Judgment(ranks={first: 1, second: 2}, seconds=4)
        submit(assignment=held, judgment=judgment, idempotency_key=f"key-{held.pk}")
    figures = reports.compute(project).figures
    row = figures["people"][str(bob.pk)]
    assert (row["first_share"], row["pace"], row["agreement"]) == (1, 4, None)
    assert "reliability" not in row
    assert figures["agreement"].get("all") is None
    assert figures["times"][reports.EDGES.index(3)] == 4  # between 3 and 5 seconds
    assert figures["median_seconds"] == 4


def test_an_empty_project_has_empty_figures(project):
    figures = reports.compute(project).figures
    assert (figures["people"], figures["daily"], figures["median_seconds"]) == ({}, {}, None)
    assert tables.slices(figures) == []
    assert tables.points(figures, timezone.localdate()) == {"agreement": [], "throughput": [], "times": []}


def test_the_sweep_computes_what_has_new_judgments_only(project, bob):
    make_project("quiet")
    assert tasks.sweep_quality() == 0
    make_comparison(project)
    ranking = make_ranking(project, bob)
    assert tasks.sweep_quality() == 1
    assert tasks.sweep_quality() == 0
    assert project.quality_report.figures["people"][str(bob.pk)]["judgments"] == 1
    undo(annotator=bob, ranking=ranking, idempotency_key="u")
    assert reports.due() == []  # has been computed this moment
    QualityReport.objects.update(computed_at=timezone.now() - timedelta(minutes=5))
    assert tasks.sweep_quality() == 1
    assert QualityReport.objects.get().figures["people"] == {}


def test_the_check_begins_behind_what_others_judged(project, bob):
    make_comparison(project)
    make_ranking(project, bob)
    reports.compute(project)
    busy = make_project("busy")
    make_member(busy, user=bob)
    make_comparison(busy)
    newest = make_ranking(busy, bob).pk
    assert reports.due() == [busy.pk]
    assert QualityReport.objects.get(project=project).last_ranking == newest


def test_a_cell_is_never_a_formula():
    rows = [["=1+1", "+1", "-1", "@x", "\tx", "fine", -1.5, None, "王小明"]]
    assert tables.as_csv(rows) == "'=1+1,'+1,'-1,'@x,'\tx,fine,-1.5,,王小明\r\n"


def test_the_slices_name_domains_and_languages_and_say_where_tasks_are_few(project, bob, carol):
    for _ in range(3):
        judge(project, (bob, (1, 2)), (carol, (1, 2)))
    code = make_prompt(project, domain="code")
    make_comparison(project, code, wanted=2)
    for who in (bob, carol):
        make_ranking(project, who)
    rows = {row["name"]: row["few"] for row in tables.slices(reports.compute(project).figures)}
    assert rows == {"Code": True, "General": False, "English": False, 1: False}


def test_the_charts_begin_with_the_first_judgment_and_show_idle_days(project, bob, carol):
    for _ in range(3):
        judge(project, (bob, (1, 2)), (carol, (1, 2)))
    before = timezone.now() - timedelta(days=2)
    Ranking.objects.filter(comparison=Comparison.objects.earliest("pk")).update(created_at=before)
    points = tables.points(reports.compute(project).figures, timezone.localdate())
    assert [point["values"]["n"] for point in points["throughput"]] == [2, 0, 4]
    assert points["agreement"] == []  # two days, neither with three tasks
