"""Blind comparisons: nothing that annotators get tells them apart; what is said counts and teaches nobody."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from annotator.exports.writing import rows
from annotator.models import Comparison, Completion, Project, Prompt, Ranking, Role, User
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit
from rlhf import blind, runs
from rlhf.blind import Text, chosen, places_among
from rlhf.facts import gather
from rlhf.lm.data import read_snapshot
from rlhf.models import Checkpoint, Evaluation, Generation, Run, RunSample
from rlhf.runs import CannotStart
from rlhf.snapshots import freeze, path_of
from tests.factories import make_comparison, make_completions, make_member, make_prompt

ORIGIN = {"logprob": -3.0, "tokens": 4, "finished": True}
TASKS = 6


def make_evaluation(
    project: Project, *, tasks: int = TASKS, texts: int = 2, held_out: bool = True
) -> Evaluation:
    base = runs.base_policy(project)
    new = Checkpoint.objects.create(
        project=project,
        kind="policy",
        name="new",
        base_model=base.base_model,
        parent=base,
        run=Run.objects.create(project=project, kind="policy", state="done"),
    )
    run = Run.objects.create(
        project=project, kind="evaluation", state="done", policy=new, config={"temperature": 0.8, "seed": 0}
    )
    for _ in range(tasks):
        prompt = make_prompt(project)
        Prompt.objects.filter(pk=prompt.pk).update(is_held_out=held_out)
        for step in range(1, texts + 1):
            RunSample.objects.create(
                run=run,
                step=step,
                prompt=prompt,
                text=f"New text {step} of {prompt.pk}, which is long",
                reference_text=f"Old text {step} of {prompt.pk}",
                values={"new": ORIGIN, "old": ORIGIN},
            )
    return Evaluation.objects.create(run=run, old=base, new=new)


@pytest.fixture
def evaluation(project: Project) -> Evaluation:
    return make_evaluation(project)


def judge(project: Project, annotator: User, better: Callable[[str], bool]) -> Ranking:
    """The annotator's next comparison, the texts that are `better` before the others."""
    assignment = queue.claim_next(annotator=annotator, project=project)
    assert assignment is not None
    texts = Completion.objects.in_bulk(assignment.order)
    ranks = {pk: 1 if better(texts[pk].text) else 2 for pk in assignment.order}
    return submit(assignment=assignment, judgment=Judgment(ranks=ranks), idempotency_key=f"k{assignment.pk}")


def test_old_and_new_meet_on_held_out_tasks(evaluation: Evaluation, project: Project):
    assert blind.ask(evaluation, tasks=4) == 4
    asked = list(evaluation.blind.select_related("comparison__prompt"))
    assert len(asked) == 4
    for row in asked:
        assert row.comparison.prompt.is_held_out and row.comparison.is_queued
        assert row.comparison.rule == Comparison.Rule.EVALUATION
        (old,), (new,) = row.old, row.new
        assert Completion.objects.get(pk=old).text.startswith("Old")
        assert Completion.objects.get(pk=new).text.startswith("New")
        assert Generation.objects.get(completion=new).checkpoint == evaluation.new
        assert Generation.objects.get(completion=old).checkpoint == evaluation.old
        assert Generation.objects.get(completion=old).sampling["temperature"] == 0.8


def test_asking_again_asks_about_what_was_not_asked(evaluation: Evaluation):
    blind.ask(evaluation, tasks=4)
    assert blind.ask(evaluation, tasks=4) == 0
    assert blind.ask(evaluation, tasks=100) == TASKS - 4
    assert evaluation.blind.count() == TASKS


def test_training_tasks_are_never_asked_about(project: Project):
    evaluation = make_evaluation(project, held_out=False)
    with pytest.raises(CannotStart, match="nothing to ask"):
        blind.ask(evaluation, tasks=10)
    assert not project.comparisons.exists()


def test_where_both_wrote_the_same_there_is_nothing_to_ask(evaluation: Evaluation):
    for sample in RunSample.objects.all():
        sample.reference_text = sample.text
        sample.save()
    with pytest.raises(CannotStart, match="both wrote the same"):
        blind.ask(evaluation, tasks=10)


def test_ids_do_not_tell_which_is_new(project: Project):
    """Of forty pairs the new one has the higher id about half of the time."""
    evaluation = make_evaluation(project, tasks=40)
    blind.ask(evaluation, tasks=40)
    later = sum(row.new[0] > row.old[0] for row in evaluation.blind.all())
    assert 8 <= later <= 32
    sides = [slot.completion.text[:3] for slot in _first_slots(project)]
    assert 8 <= sides.count("New") <= 32


def _first_slots(project: Project) -> list[Any]:
    return [c.slots.order_by("position").first() for c in project.comparisons.all()]


def test_they_come_among_the_next_others(evaluation: Evaluation, project: Project):
    for number in range(40):
        make_comparison(project, priority=1 - number / 100)
    blind.ask(evaluation, tasks=TASKS)
    order = list(project.comparisons.order_by("-priority", "pk").values_list("rule", flat=True))
    places = [place for place, rule in enumerate(order) if rule == "evaluation"]
    assert len(places) == TASKS and places[-1] < TASKS * (blind.OTHERS + 1)
    assert places != list(range(TASKS)), "not before all others"
    spaced = places_among(project, 2000, random.Random(0))
    assert min(spaced) >= 0.61 and max(spaced) <= 1.0


def test_an_empty_queue_gives_them_places_as_a_generation_does(project: Project):
    assert all(0 <= place <= 1 for place in places_among(project, 20, random.Random(0)))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_as_many_are_shown_as_always_half_of_each(count: int):
    texts = [Text(side, f"{side} {n}", {}) for side in ("old", "new") for n in range(5)]
    shares = []
    for seed in range(200):
        shown = chosen(texts, count, random.Random(seed))
        new = sum(text.side == "new" for text in shown)
        assert len(shown) == len({text.text for text in shown}) == count
        assert new in (count // 2, count - count // 2)
        shares.append(new / count)
    assert sum(shares) / 200 == pytest.approx(0.5, abs=0.05), "the odd one is of either"
    firsts = [chosen(texts, count, random.Random(seed))[0].side for seed in range(200)]
    assert 70 < firsts.count("new") < 130


def test_where_one_side_has_too_few_texts_the_other_gives_more():
    texts = [Text("old", "a", {}), *(Text("new", f"n{n}", {}) for n in range(5))]
    for seed in range(20):
        shown = chosen(texts, 4, random.Random(seed))
        assert len(shown) == 4 and sum(text.side == "old" for text in shown) == 1
    assert chosen(texts[1:], 4, random.Random(0)) == []
    both = [Text("old", "same", {}), Text("new", "same ", {}), Text("old", "o", {}), Text("new", "n", {})]
    assert {text.text for text in chosen(both, 2, random.Random(0))} == {"o", "n"}


def test_annotators_are_given_nothing_that_tells_them_apart(
    evaluation: Evaluation, project: Project, bob: User, client_of: Callable[[User], Client]
):
    """The API's answers and the page for an evaluation and for another comparison differ in texts alone."""
    client = client_of(bob)
    prompt = make_prompt(project)
    ordinary = make_comparison(project, completions=make_completions(prompt, 2), priority=2)
    answers, pages = [], []
    for kind in ("ordinary", "blind"):
        if kind == "blind":
            Comparison.objects.filter(pk=ordinary.pk).update(is_closed=True)
            blind.ask(evaluation, tasks=TASKS)
        answer = client.post("/api/projects/support/claim/", json.dumps({}), content_type="application/json")
        assert answer.status_code in (200, 201), answer.content
        answers.append(answer.json())
        pages.append(client.get("/projects/support/rank/").content.decode())
        claimed = project.comparisons.get(assignments=answers[-1]["id"])
        assert claimed.rule == ("evaluation" if kind == "blind" else "random")
        queue.release(claimed.assignments.get())

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__

    assert shape(answers[0]) == shape(answers[1])
    for content in (*pages, json.dumps(answers)):
        assert "evaluation" not in content.lower()
    assert client.get("/api/projects/support/comparisons/").status_code == 403
    assert client.get(evaluation.run.get_absolute_url()).status_code == 403


def test_what_people_say_gives_win_rates(evaluation: Evaluation, project: Project, bob: User):
    assert blind.progress(evaluation) is None
    project.judgments_wanted = 2
    project.save()
    blind.ask(evaluation, tasks=TASKS)
    judge(project, bob, lambda text: text.startswith("New"))
    judge(project, bob, lambda text: text.startswith("New"))
    judge(project, bob, lambda text: text.startswith("Old"))
    judge(project, bob, lambda text: True)  # a tie
    found = blind.progress(evaluation)
    assert found is not None and found.wins is not None
    assert (found.comparisons, found.wanted, found.given, found.simulated) == (TASKS, 2 * TASKS, 4, 0)
    assert found.wins.rate.value == pytest.approx(2.5 / 4)
    assert (found.wins.matches, found.wins.tasks) == (4, 4)


def test_of_more_than_two_every_old_one_meets_every_new_one(project: Project, bob: User):
    project.completions_per_comparison = 4
    project.save()
    evaluation = make_evaluation(project)
    blind.ask(evaluation, tasks=1)
    judge(project, bob, lambda text: "New text 1" in text)
    found = blind.progress(evaluation)
    assert found is not None and found.wins is not None
    assert found.wins.matches == 4
    assert found.wins.rate.value == pytest.approx((1 + 1 + 0.5 + 0.5) / 4)


def test_two_evaluations_of_the_same_texts_share_the_judgments(evaluation: Evaluation, bob: User):
    project = evaluation.run.project
    blind.ask(evaluation, tasks=TASKS)
    again = Evaluation.objects.create(
        run=Run.objects.create(project=project, kind="evaluation", state="done"),
        old=evaluation.old,
        new=evaluation.new,
    )
    for sample in list(RunSample.objects.filter(run=evaluation.run)):
        sample.pk, sample.run = None, again.run
        sample.save()
    judge(project, bob, lambda text: True)
    blind.ask(again, tasks=TASKS)
    found = blind.progress(again)
    assert found is not None and found.given >= 0
    assert project.comparisons.count() <= 2 * TASKS


def test_nothing_is_learned_from_it(evaluation: Evaluation, project: Project, bob: User):
    """It is in no votes, no snapshot, no exported preferences, and no station waits for it."""
    before = gather(project)
    blind.ask(evaluation, tasks=TASKS)
    ranking = judge(project, bob, lambda text: text.startswith("New"))
    assert ranking.comparison.rule == Comparison.Rule.EVALUATION
    assert not Ranking.objects.votes().exists() and not runs.rankings(project).exists()
    snapshot = freeze(project)
    assert snapshot.counts["rankings"] == 0
    assert read_snapshot(path_of(snapshot)).judgments == ()
    assert list(rows(project, format="trl")) == []
    (raw,) = rows(project, format="raw")
    assert raw["rule"] == "evaluation" and raw["held_out"], "researchers have it, named as what it is"
    after = gather(project)
    assert (after.wanted, after.given, after.comparisons) == (before.wanted, 0, before.comparisons)


def test_other_votes_still_count(evaluation: Evaluation, project: Project, bob: User):
    make_comparison(project, priority=5)
    judge(project, bob, lambda text: text.endswith("1"))
    assert Ranking.objects.votes().count() == 1


def test_a_manager_asks_from_the_page_of_the_evaluation(
    evaluation: Evaluation, project: Project, alice: User, client_of: Callable[[User], Client]
):
    client = client_of(alice)
    url = f"{evaluation.run.get_absolute_url()}ask/"
    content = client.get(evaluation.run.get_absolute_url()).content.decode()
    assert "People have not been asked." in content and 'id="evaluation-ask"' in content
    content = client.post(url, {"tasks": "3"}, follow=True).content.decode()
    assert "3 comparisons are in the annotators" in content
    assert "0 of 3 judgments are in." in content
    for wrong in ("", "0", "-1", "x"):
        client.post(url, {"tasks": wrong})
    assert evaluation.blind.count() == 3
    run = Run.objects.create(project=project, kind="policy", state="done")
    assert client.post(f"/projects/support/runs/{run.pk}/ask/", {"tasks": "3"}).status_code == 404


def test_simulated_judgments_are_named(evaluation: Evaluation, project: Project):
    robot = make_member(project, Role.ANNOTATOR)
    robot.is_simulated = True
    robot.save()
    blind.ask(evaluation, tasks=2)
    judge(project, robot, lambda text: text.startswith("New"))
    found = blind.progress(evaluation)
    assert found is not None and (found.given, found.simulated) == (1, 1)
