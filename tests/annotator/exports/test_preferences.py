"""From votes to preferences, with numbers worked out by hand."""

import math
from datetime import UTC, datetime

import pytest

from annotator.exports.preferences import ORDINARY, preferences_of
from annotator.exports.reading import Judged, Said, Task, Text
from annotator.exports.standings import standings

TASK = Task(1, "Do it.", "general", "en", "0" * 64, False)
TEXTS = {pk: Text(pk, f"text {pk}", "model", 1, None) for pk in (1, 2, 3)}


def vote(pk, ranks, **values):
    given = {
        "prompt": 1,
        "comparison": 5,
        "rule": "random",
        "iteration": 1,
        "is_queued": True,
        "pk": pk,
        "annotator": pk,
        "verdict": "ranked",
        "ranks": {str(key): rank for key, rank in ranks.items()},
        "strength": None,
        "reason": "",
        "flags": {},
        "ratings": {},
        "rationale": "",
        "improved_text": "",
        "order": list(ranks),
        "seconds": None,
        "guideline_version": None,
        "supersedes": None,
        "is_simulated": False,
        "is_adjudication": False,
        "batch": None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Said(**(given | values))


def judged(*votes, texts=TEXTS):
    return Judged(TASK, 5, "random", 1, list(votes), {}, list(votes), None, texts)


def found(rule, *votes, reliability=lambda user: None, texts=TEXTS):
    return [
        (one.chosen.text, one.rejected.text, one.agreement, one.margin, one.weight)
        for one in preferences_of(judged(*votes, texts=texts), rule, reliability)
    ]


def test_every_vote_for_itself():
    votes = vote(1, {1: 1, 2: 2}, strength=2), vote(2, {1: 2, 2: 1}, strength=3)
    assert found("vote", *votes) == [
        ("text 1", "text 2", 1.0, 0.6667, 1.0),
        ("text 2", "text 1", 1.0, 1.0, 1.0),
    ]


def test_all_pairs_of_a_ranking_are_one_group():
    pairs = list(preferences_of(judged(vote(7, {1: 2, 2: 1, 3: 3})), "vote", lambda user: None))
    assert {pair.group for pair in pairs} == {"ranking-7"}
    assert [(pair.chosen.pk, pair.rejected.pk, pair.margin) for pair in pairs] == [
        (2, 1, 0.5),
        (1, 3, 0.5),
        (2, 3, 1.0),
    ]


def test_the_majority_decides_and_says_how_sure_it_is():
    """Two of three for text 1: agreement 2/3, weight 2 · 2/3 - 1, margin (1/3 + 1 - 2/3) / 3."""
    votes = (
        vote(1, {1: 1, 2: 2}, strength=1),
        vote(2, {1: 1, 2: 2}, strength=3),
        vote(3, {1: 2, 2: 1}, strength=2),
    )
    assert found("majority", *votes) == [("text 1", "text 2", 0.6667, 0.2222, 0.3333)]


def test_ties_are_half_a_vote():
    """One vote and a tie: agreement (1 + 0.5) / 2; the margin is halved."""
    votes = vote(1, {1: 2, 2: 1}), vote(2, {1: 1, 2: 1})
    assert found("majority", *votes) == [("text 2", "text 1", 0.75, 0.5, 0.5)]


def test_an_even_vote_gives_no_pair():
    votes = vote(1, {1: 2, 2: 1}), vote(2, {1: 1, 2: 2})
    assert found("majority", *votes) == []
    assert found("weighted", *votes) == []


def test_one_who_is_reliable_outvotes_two_who_are_not():
    """log odds: 0.95 speaks for 1 with 2.944, two of 0.6 against it with 2 · 0.405."""
    eta = {1: 0.95, 2: 0.6, 3: 0.6}
    votes = vote(1, {1: 1, 2: 2}), vote(2, {1: 2, 2: 1}), vote(3, {1: 2, 2: 1})
    odds = math.log(19) - 2 * math.log(1.5)
    p = 1 / (1 + math.exp(-odds))
    ((chosen, _, agreement, margin, weight),) = found("weighted", *votes, reliability=eta.get)
    assert chosen == "text 1"
    assert (agreement, margin) == (0.3333, 0.0), "two of three say otherwise"
    assert weight == pytest.approx(2 * p - 1, abs=1e-4)
    assert found("majority", *votes)[0][0] == "text 2"


def test_who_is_unknown_counts_as_ordinary_and_who_is_below_chance_against_themselves():
    (one,) = found("weighted", vote(1, {1: 1, 2: 2}))
    assert one[4] == pytest.approx(2 * ORDINARY - 1, abs=1e-4)
    (other,) = found("weighted", vote(1, {1: 1, 2: 2}), reliability=lambda user: 0.2)
    assert (other[0], other[4]) == ("text 2", pytest.approx(0.6, abs=1e-4))


def test_an_edited_text_is_above_all_shown_for_its_author_whatever_the_rule():
    edited = vote(1, {1: 1, 2: 2}, improved_text="mine")
    for rule in ("vote", "majority", "weighted"):
        pairs = found(rule, edited, vote(2, {1: 2, 2: 1}))
        assert [pair[:2] for pair in pairs[:2]] == [("mine", "text 1"), ("mine", "text 2")]
    only = vote(1, {}, verdict="all_bad", order=[1, 2], improved_text="mine")
    assert [pair[:2] for pair in found("vote", only)] == [("mine", "text 1"), ("mine", "text 2")]


def test_an_edited_text_that_says_what_was_shown_is_not_above_itself():
    same = vote(1, {1: 1, 2: 2}, improved_text=" text  1 ")
    assert [pair[:2] for pair in found("vote", same)] == [(" text  1 ", "text 2"), ("text 1", "text 2")]


def test_texts_that_may_not_be_taken_out_are_in_no_pair():
    left = {pk: text for pk, text in TEXTS.items() if pk != 2}
    for rule in ("vote", "majority"):
        pairs = found(rule, vote(1, {1: 1, 2: 2, 3: 3}), texts=left)
        assert [pair[:2] for pair in pairs] == [("text 1", "text 3")]


def test_standings_count_pairs_and_ties():
    """Text 1 wins 2 of its 4 pairs and ties one: (2 + 0.5) / 4."""
    ranked = standings([judged(vote(1, {1: 1, 2: 2, 3: 2}), vote(2, {1: 2, 2: 2, 3: 1}))])
    shares = {one.text.pk: (one.share, one.pairs) for one in ranked.texts}
    assert shares == {1: (0.625, 4), 2: (0.25, 4), 3: (0.625, 4)}
    assert [one.text.pk for one in ranked.texts] == [1, 3, 2]


def test_the_edited_text_leads_and_loses_where_it_is_compared_itself():
    edited = vote(1, {1: 1, 2: 2}, improved_text="text 3")
    first = standings([judged(edited)])
    assert [(one.text.text, one.share) for one in first.texts] == [
        ("text 3", 1.0),
        ("text 1", 0.5),
        ("text 2", 0.0),
    ]
    assert first.texts[0].author == 1
    later = vote(2, {1: 1, 3: 2}), vote(3, {1: 1, 3: 2}), vote(4, {1: 1, 3: 2})
    both = standings([judged(edited), judged(*later)])
    assert both.texts[0].text.pk == 1
    third = next(one for one in both.texts if one.text.text == "text 3")
    assert (third.text.pk, third.author, third.pairs) == (3, None, 5)
    assert third.share == pytest.approx(2 / 5)


def test_nothing_said_stands_nowhere():
    assert standings([judged(vote(1, {}, verdict="all_bad", order=[1, 2]))]) is None
    assert standings([]) is None
