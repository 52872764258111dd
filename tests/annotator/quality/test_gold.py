"""Gold questions: made beside the queue, scored by the pairs of the right order."""

import pytest

from annotator.models import Comparison, Verdict
from annotator.quality import gold
from annotator.quality.gold import GoldError
from tests.factories import make_comparison, make_completions, make_prompt


def make_gold(project, *ranks, verdict=Verdict.RANKED, **values):
    """A gold question on new completions with these ranks, in the order of their ids."""
    completions = make_completions(make_prompt(project), max(len(ranks), 2))
    answer = {c.pk: rank for c, rank in zip(completions, ranks, strict=False)}
    return gold.make((completions[0].prompt, completions), verdict=verdict, ranks=answer, **values)


def test_a_copy_of_a_comparison_is_asked_beside_the_queue(project, alice):
    original = make_comparison(project)
    one, two = original.completions.order_by("pk")
    answer = gold.make(original, ranks={one.pk: 2, two.pk: 5}, explanation=" Clearer. ", by=alice)
    copy = answer.comparison
    assert (copy.rule, copy.is_queued, copy.judgments_wanted) == (Comparison.Rule.GOLD, False, 32_767)
    assert list(copy.completions.order_by("pk")) == [one, two]
    assert answer.ranks == {str(one.pk): 1, str(two.pk): 2}
    assert (answer.explanation, answer.created_by) == ("Clearer.", alice)
    original.refresh_from_db()
    assert (original.rule, original.is_queued) == (Comparison.Rule.RANDOM, True)
    assert list(project.comparisons.open()) == [original]


def test_an_answer_that_says_nothing_is_refused(project):
    one, two = make_completions(make_prompt(project))
    for ranks in ({one.pk: 1, two.pk: 1}, {one.pk: 1}, {one.pk: 0, two.pk: 1}, {}):
        with pytest.raises(GoldError):
            gold.make((one.prompt, [one, two]), ranks=ranks)
    with pytest.raises(GoldError):
        gold.make((one.prompt, [one, two]), verdict="undone")
    (stranger,) = make_completions(make_prompt(project), 1)
    for completions in ([one], [one, one], [one, stranger]):
        with pytest.raises(GoldError):
            gold.make((one.prompt, completions), verdict=Verdict.ALL_BAD)
    assert not project.comparisons.exists()


def test_a_retired_question_can_come_back_with_another_answer(project):
    answer = make_gold(project, 1, 2)
    source = (answer.comparison.prompt, list(answer.comparison.completions.order_by("pk")))
    with pytest.raises(GoldError, match="already"):
        gold.make(source, verdict=Verdict.ALL_BAD)
    gold.retire(answer)
    assert Comparison.objects.get().is_closed
    again = gold.make(source, verdict=Verdict.ALL_BAD)
    assert (again, again.verdict, again.ranks) == (answer, Verdict.ALL_BAD, {})
    assert not Comparison.objects.get().is_closed


@pytest.mark.parametrize(
    ("right", "given", "score"),
    [
        ((1, 2), (1, 2), 1),
        ((1, 2), (2, 1), 0),
        ((1, 2), (1, 1), 0.5),
        ((1, 2, 3), (1, 3, 2), 2 / 3),
        ((1, 2, 3), (3, 2, 1), 0),
        ((1, 2, 3), (1, 2, 2), 5 / 6),
        ((1, 2, 2), (1, 3, 2), 1),  # only two pairs have an order
        ((1, 2, 2), (2, 3, 1), 0.5),
    ],
)
def test_the_score_is_the_share_of_the_right_pairs(project, right, given, score):
    answer = make_gold(project, *right)
    ranks = dict(zip(sorted(int(key) for key in answer.ranks), given, strict=True))
    assert gold.score(answer, Verdict.RANKED, ranks) == pytest.approx(score)


def test_verdicts_are_right_or_wrong(project):
    ranked, bad = make_gold(project, 1, 2), make_gold(project, verdict=Verdict.ALL_BAD)
    assert gold.score(ranked, Verdict.CANNOT_JUDGE, {}) == 0
    assert gold.score(ranked, Verdict.ALL_BAD, {}) == 0
    assert gold.score(bad, Verdict.ALL_BAD, {}) == 1
    assert gold.score(bad, Verdict.RANKED, {1: 1, 2: 2}) == 0
    assert gold.score(bad, Verdict.CANNOT_JUDGE, {}) == 0
