"""What is read is what the rest of the site counts; what was imported keeps where it comes from."""

import pytest

from annotator.exports.reading import Reader
from annotator.exports.selection import Frozen, Selection
from annotator.exports.writing import rows
from annotator.models import Completion, PromptImport, Ranking
from annotator.ranking import queue
from annotator.ranking.adjudication import adjudicate
from annotator.ranking.judgments import Judgment
from tests.factories import make_comparison, make_prompt, make_ranking

pytestmark = pytest.mark.django_db


def test_the_votes_are_those_of_the_database(rich, alice):
    disputed = Ranking.objects.filter(comparison__project=rich, comparison__judgments_taken=2).first()
    shown = sorted(disputed.order)
    adjudicate(
        comparison=disputed.comparison,
        manager=alice,
        judgment=Judgment(ranks={pk: place for place, pk in enumerate(shown, start=1)}),
        idempotency_key="d",
    )
    judged = list(Reader(rich, Selection(), Frozen.now(rich)))
    read = {vote.pk for one in judged for vote in one.votes}
    votes = Ranking.objects.votes().filter(comparison__project=rich, verdict__in=["ranked", "all_bad"])
    assert read == set(votes.values_list("pk", flat=True)) and len(read) > 10
    live = {said.pk for one in judged for said in one.said if one.is_live(said)}
    assert live == set(Ranking.objects.live().filter(comparison__project=rich).values_list("pk", flat=True))
    superseded = {pk: later for one in judged for pk, later in one.superseded_by.items()}
    assert superseded == dict(
        Ranking.objects.exclude(supersedes=None).values_list("supersedes", "pk").order_by()
    )


def test_gold_questions_repeats_and_evaluations_are_no_votes(project, bob):
    for rule, is_queued in (("gold", False), ("repeat", False), ("evaluation", True)):
        comparison = make_comparison(project)
        make_ranking(project, bob)
        type(comparison).objects.filter(pk=comparison.pk).update(rule=rule, is_queued=is_queued)
    assert [row["rule"] for row in rows(project, format="raw")] == ["gold", "repeat", "evaluation"]
    assert list(rows(project, format="trl")) == []


def test_imported_judgments_are_told_apart(project, bob):
    batch = PromptImport.objects.create(project=project, name="votes.jsonl", sha256="0" * 64, file="none")
    given = []
    for _ in range(2):
        make_comparison(project)
        given.append(make_ranking(project, bob).pk)
    Ranking.objects.filter(pk=given[0]).update(batch=batch)
    for judgments, expected in (("imported", given[:1]), ("real", given[1:]), ("all", given)):
        reader = Reader(project, Selection(judgments=judgments), Frozen.now(project))
        assert [said.pk for one in reader for said in one.said] == expected
    assert [row["imported"] for row in rows(project, format="raw")] == [True, False]


def test_imported_texts_battle_under_the_names_their_file_gave_them(project, bob):
    prompt = make_prompt(project)
    texts = queue.add_completions(
        prompt=prompt, texts=["a", "b"], source=Completion.Source.IMPORTED, iteration=1
    )
    for text, origin in zip(texts, ("model-x", "model-y"), strict=True):
        Completion.objects.filter(pk=text.pk).update(origin=origin)
    make_comparison(project, completions=texts)
    make_ranking(project, bob)
    (battle,) = rows(project, format="arena")
    assert {battle["model_a"], battle["model_b"]} == {"model-x", "model-y"}
    (raw,) = rows(project, format="raw")
    assert {shown["origin"] for shown in raw["completions"]} == {"model-x", "model-y"}


def test_battles_of_evaluations_are_in_the_arena(project, bob):
    prompt = make_prompt(project)
    texts = queue.add_completions(
        prompt=prompt, texts=["a", "b"], source=Completion.Source.IMPORTED, iteration=1
    )
    for text, origin in zip(texts, ("old", "new"), strict=True):
        Completion.objects.filter(pk=text.pk).update(origin=origin)
    comparison = make_comparison(project, completions=texts)
    make_ranking(project, bob, verdict="all_bad", ranks={})
    type(comparison).objects.filter(pk=comparison.pk).update(rule="evaluation")
    (battle,) = rows(project, format="arena")
    assert (battle["winner"], battle["rule"]) == ("tie (bothbad)", "evaluation")
