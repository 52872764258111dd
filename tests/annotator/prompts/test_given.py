"""Judgments of a file come in as such: by annotators who are nobody here, on comparisons that are closed."""

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory

from annotator.exports.writing import rows
from annotator.models import Assignment, Comparison, Membership, Ranking, User
from annotator.prompts.records import GivenCompletion, GivenRanking, Record
from annotator.quality.votes import judged_comparisons
from annotator.ranking import queue
from tests.factories import bring_in, make_project

pytestmark = pytest.mark.django_db
A, B, C = (
    GivenCompletion(text, source) for text, source in (("Do A", "gpt"), ("Do B", "llama"), ("Do C", ""))
)


def judged(*preferences, completions=(A, B), **values):
    return Record(line=1, text="Task", completions=completions, preferences=preferences, **values)


def test_a_judgment_names_its_import_its_annotator_and_the_source(project):
    batch = bring_in(project, [judged(GivenRanking((2, 1), strength=3, annotator="ann", source="PandaLM"))])
    ranking = Ranking.objects.get()
    a, b = (ranking.comparison.completions.get(text=text) for text in ("Do A", "Do B"))
    assert ranking.ranks == {str(a.pk): 2, str(b.pk): 1}
    assert (ranking.strength, ranking.batch, ranking.is_imported, ranking.is_simulated) == (
        3,
        batch,
        True,
        False,
    )
    assert (ranking.order, ranking.seconds) == ([a.pk, b.pk], None)
    assert (a.origin, b.origin, a.source) == ("gpt", "llama", "imported")
    assert (ranking.annotator.first_name, ranking.annotator.last_name) == ("ann", "PandaLM")
    assert str(ranking.annotator) == "ann · PandaLM"
    assert batch.counts["rankings"] == batch.counts["annotators"] == 1


def test_who_came_with_a_file_is_nobody_here(project):
    bring_in(project, [judged(GivenRanking((1, 2), annotator="ann"))])
    user = User.objects.get(is_imported=True)
    assert (user.is_active, user.is_simulated, user.has_usable_password()) == (False, False, False)
    for password in ("!", ""):
        assert (
            authenticate(RequestFactory().post("/login/"), username=user.username, password=password) is None
        )
    assert not Membership.objects.filter(user=user).exists()


def test_its_comparison_is_closed_and_full(project, bob):
    bring_in(project, [judged(*(GivenRanking((1, 2), annotator=name) for name in "xyz"))])
    comparison = Comparison.objects.get()
    assert comparison.rule == Comparison.Rule.IMPORTED
    assert (comparison.is_closed, comparison.judgments_wanted, comparison.judgments_taken) == (True, 3, 3)
    assert Assignment.objects.filter(state=Assignment.State.SUBMITTED).count() == 3
    assert queue.claim_next(annotator=bob, project=project) is None


def test_one_annotator_of_one_source_is_one_user_and_each_project_has_its_own(project):
    names = [("ann", "P"), ("ann", "P"), ("ann", "Q"), ("bea", "P"), ("", "P"), ("", "")]
    records = [
        Record(line=n, text=f"Task {n}", completions=(A, B), preferences=(GivenRanking((1, 2), None, *name),))
        for n, name in enumerate(names)
    ]
    bring_in(project, records)
    found = set(User.objects.filter(is_imported=True).values_list("first_name", "last_name"))
    assert found == {("ann", "P"), ("ann", "Q"), ("bea", "P"), ("", "P"), ("", "tasks.tsv")}
    bring_in(make_project(), records)
    assert User.objects.filter(is_imported=True).count() == 10


@pytest.mark.parametrize(
    ("ranks", "stored"),
    [
        ((1, 1, 2), [1, 1, 2]),
        ((3, 9, 3), [1, 2, 1]),
        ((0, 5, 2), [2, 1]),
        ((0, 1, 0), None),
        ((0, 0, 0), None),
    ],
)
def test_ranks_are_stored_without_gaps_and_zero_says_nothing(project, ranks, stored):
    batch = bring_in(project, [judged(GivenRanking(ranks), completions=(A, B, C))])
    if stored is None:
        assert not Ranking.objects.exists()
        assert batch.counts["rankings_unclear"] == 1
    else:
        ranking = Ranking.objects.get()
        assert [ranking.ranks[str(pk)] for pk in ranking.order] == stored


def test_a_text_that_is_ranked_twice_differently_says_nothing(project):
    again = GivenCompletion("Do  A", "other")
    batch = bring_in(project, [judged(GivenRanking((1, 2)), completions=(A, again))])
    assert (batch.counts["rankings"], batch.counts["rankings_unclear"], batch.counts["completions"]) == (
        0,
        1,
        1,
    )


def test_a_tie_has_no_strength(project):
    bring_in(project, [judged(GivenRanking((1, 1), strength=2))])
    assert Ranking.objects.get().strength is None


def test_the_same_file_again_brings_no_judgment_twice(project):
    records = [judged(GivenRanking((1, 2), annotator="ann"), GivenRanking((2, 1), annotator="bea"))]
    bring_in(project, records)
    again = bring_in(project, records)
    assert (again.counts["rankings"], again.counts["rankings_known"]) == (0, 2)
    assert Ranking.objects.count() == 2


def test_another_annotator_of_the_same_pair_joins_its_comparison(project):
    bring_in(project, [judged(GivenRanking((1, 2), annotator="ann"))])
    second = bring_in(project, [judged(GivenRanking((2, 1), annotator="bea"))])
    comparison = Comparison.objects.get()
    assert (comparison.judgments_wanted, comparison.judgments_taken) == (2, 2)
    assert second.counts["rankings"] == 1
    assert set(comparison.rankings.values_list("annotator__first_name", flat=True)) == {"ann", "bea"}


def test_judgments_of_new_pairs_of_a_known_task_come_to_it(project):
    bring_in(project, [judged(GivenRanking((1, 2), annotator="ann"))])
    bring_in(project, [judged(GivenRanking((1, 2, 3), annotator="ann"), completions=(A, B, C))])
    assert project.prompts.count() == 1
    assert project.comparisons.count() == 2
    assert {row.prompt for row in project.comparisons.all()} == {project.prompts.get()}


def test_they_are_votes_but_no_agreement_of_this_project(project):
    bring_in(project, [judged(*(GivenRanking((1, 2), annotator=name) for name in "xy"))])
    assert [row["chosen"] for row in rows(project, format="trl")] == ["Do A", "Do A"]
    assert list(judged_comparisons(project)) == []
    assert len(list(judged_comparisons(project, imported=True))) == 1


def test_what_the_file_judged_is_not_asked_again_but_the_rest_is(project):
    record = judged(GivenRanking((1, 2, 0)), completions=(A, B, C))
    rest = Record(line=2, text="Other", completions=(A, B))
    bring_in(project, [record, rest])
    asked = project.comparisons.exclude(rule=Comparison.Rule.IMPORTED)
    assert [row.prompt.text for row in asked] == ["Other"]
