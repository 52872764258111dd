"""A comparison's page tells each judgment in words, with all that came with it."""

import pytest
from django.urls import reverse

from annotator.models import Assignment, Ranking
from annotator.pseudonyms import pseudonym
from annotator.quality import gold
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit, undo
from tests.factories import make_comparison, make_guideline, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def read(client_of, project, dana):
    """The page as a researcher reads it."""
    client = client_of(dana)
    return lambda comparison: client.get(
        reverse("comparison", args=[project.slug, comparison.pk])
    ).content.decode()


def test_a_judgment_is_told_with_all_that_came_with_it(project, bob, read):
    project.attribute_scales = ["clarity"]
    project.save()
    make_guideline(project)
    comparison = make_comparison(project)
    first, second = comparison.slots.order_by("position").values_list("completion", flat=True)
    Assignment.objects.all().delete()
    held = queue.claim_next(annotator=bob, project=project)
    Assignment.objects.filter(pk=held.pk).update(order=[second, first])
    held.refresh_from_db()
    judgment = Judgment(
        ranks={second: 1, first: 2},
        strength=3,
        flags={first: ["biased"]},
        ratings={second: {"clarity": 4}},
        rationale="It names the form.",
        improved_text="Answer with one word.",
        seconds=12.3,
    )
    submit(assignment=held, judgment=judgment, idempotency_key="k")
    page = read(comparison)
    for words in (
        "2 is much better",
        "Shown in the order 2, 1",
        "12 s",
        "Guidelines v1",
        "biased",
        "clarity 4 / 5",
        "It names the form.",
        "Answer with one word.",
    ):
        assert words in page
    assert "taken back" not in page


def test_what_was_taken_back_is_folded_in(project, bob, read):
    comparison = make_comparison(project)
    ranking = make_ranking(project, bob, first=0, rationale="Too quick.")
    undo(annotator=bob, ranking=ranking, idempotency_key="undo")
    page = read(comparison)
    assert "Every judgment of this one was taken back." in page
    assert "2 taken back or replaced" in page
    make_ranking(project, bob, first=1, rationale="On second thoughts.")
    live, _fold, taken_back = read(comparison).partition("2 taken back or replaced")
    assert "On second thoughts." in live
    assert "Too quick." in taken_back
    assert "Too quick." not in live


def test_the_decision_comes_first_and_the_contradiction_stays(project, alice, bob, carol, client_of, read):
    comparison = make_comparison(project, wanted=2)
    make_ranking(project, bob, first=0)
    make_ranking(project, carol, first=1)
    url = reverse("comparison-adjudicate", args=[project.slug, comparison.pk])
    client_of(alice).post(url, {"key": "k", "choice": "tie"})
    page = read(comparison)
    assert page.index("About the same".lower()) < page.index("1 is better") < page.index("2 is better")
    assert "100 %" in page
    assert "Save the decision" not in page
    assert "Withdraw the decision" not in page


def test_a_gold_question_shows_what_is_right_and_how_right_each_was(project, bob, read):
    source = make_comparison(project)
    first, second = source.slots.order_by("position").values_list("completion", flat=True)
    question = gold.make(source, ranks={first: 1, second: 2}, explanation="It is clear.").comparison
    held = Assignment.objects.create(
        comparison=question, annotator=bob, order=[second, first], leased_until=question.created_at
    )
    submit(assignment=held, judgment=Judgment(ranks={first: 2, second: 1}), idempotency_key="k")
    page = read(question)
    assert Ranking.objects.get().gold_score == 0
    assert "1 is better" in page
    assert "It is clear." in page
    assert "0 % right" in page
    assert "Contradict each other" not in page


def test_a_repeat_tells_whom_it_asks_again(project, bob, read):
    comparison = make_comparison(project)
    type(comparison).objects.filter(pk=comparison.pk).update(
        rule="repeat", is_queued=False, reserved_for=bob, repeats=make_comparison(project)
    )
    assert pseudonym(project, bob.pk) in read(comparison)
