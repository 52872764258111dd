"""Refits while people rank: scores and priorities follow, once, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotator.models import Comparison, Project, Ranking, User
from annotator.ranking import priorities, submit
from rlhf import live, refitting, runs
from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import RewardConfig
from rlhf.lm.features import Features
from rlhf.lm.refit import Refitted, save
from rlhf.lm.reward_model import LinearHeads, RewardModel
from rlhf.models import Checkpoint, LiveHeads, LiveScore, Run, live_folder
from rlhf.stages.loading import feature_cache, folder_of, newest_reward_of
from tests.factories import make_comparison, make_completions, make_prompt, make_ranking

Values = dict[int, float]

CHOSEN = ["bald", "d-optimal-heads"]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The projects that the sweep sent."""
    messages: list[int] = []
    monkeypatch.setattr(live.app, "send_task", lambda name, args, **_: messages.append(args[0]))
    return messages


@pytest.fixture
def judged(tiny_project: Project, bob: User, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Fourteen ranked tasks, the last four held out, more open comparisons, and a reward model of theirs."""
    monkeypatch.setattr(settings, "REFIT_EVERY", 3)
    refitting.forget()
    tiny_project.held_out_share = 0
    tiny_project.save()
    for number in range(14):
        prompt = make_prompt(tiny_project, f"Task {number}")
        make_comparison(tiny_project, prompt, priority=2.0, wanted=3)
        make_ranking(tiny_project, bob, first=number % 2)
        if number >= 10:
            tiny_project.prompts.filter(pk=prompt.pk).update(is_held_out=True)
    for number in range(12):
        rule = ("random", "d-optimal-heads", "bald")[number % 3]
        make_comparison(tiny_project, make_prompt(tiny_project, f"Open {number}"), rule=rule)
    return _with_reward_model(tiny_project)


def _with_reward_model(project: Project) -> Project:
    """A reward checkpoint whose heads know nothing yet, as a reward run would leave one."""
    config = RewardConfig(heads=5, l2=10.0)
    run = Run.objects.create(project=project, kind=Run.Kind.REWARD, state=Run.State.DONE)
    checkpoint = Checkpoint.objects.create(
        project=project,
        kind=Checkpoint.Kind.REWARD,
        name="reward",
        base_model=project.base_model,
        folder=f"{run.folder}/reward",
        run=run,
        config=asdict(config),
    )
    features = Features(load_causal(project.base_model, settings.MODELS_DIR), cache=feature_cache())
    width = features.width
    heads = LinearHeads(np.zeros((5, width)), np.zeros(width), np.ones(width), np.zeros(5))
    model = RewardModel(features, heads, length="as_is", temperature=1.0)
    save(folder_of(checkpoint), model, config, Refitted(heads, None, rankings=0, rounds=0))
    return project


@pytest.fixture
def refitted(judged: Project, sent: list[int]) -> Project:
    live.sweep()
    assert refitting.refit(judged.pk)
    return judged


def row_of(project: Project) -> LiveHeads:
    return LiveHeads.objects.get(project=project)


def scores_of(project: Project) -> Values:
    return dict(LiveScore.objects.filter(heads__project=project).values_list("completion", "mean"))


def places_of(project: Project) -> Values:
    return dict(project.comparisons.values_list("pk", "priority"))


def rank(project: Project, annotator: User, comparison: Comparison, best: int) -> Ranking:
    """The annotator is given this comparison and prefers `best`."""
    project.comparisons.filter(pk=comparison.pk).update(priority=9.0)
    ids = [int(pk) for pk in comparison.completions_key.split(",")]
    ranking: Ranking = make_ranking(project, annotator, first=sorted(ids).index(best), strength=3)
    assert ranking.comparison_id == comparison.pk
    return ranking


def judged_comparisons(project: Project, *, held_out: bool) -> list[Comparison]:
    found = project.comparisons.filter(judgments_wanted=3, prompt__is_held_out=held_out)
    return list(found.order_by("pk"))


def test_a_new_reward_model_is_refitted_at_once(judged: Project, sent: list[int]):
    assert live.sweep() == 1 and sent == [judged.pk]
    assert refitting.refit(judged.pk)
    row = row_of(judged)
    assert (row.rankings, row.refits, row.fresh, row.worker, row.error) == (10, 1, 0, "", "")
    assert row.checkpoint == runs.latest_reward(judged)
    assert set(scores_of(judged)) == set(judged.prompts.values_list("completions", flat=True))
    assert set(LiveScore.objects.values_list("refit", "checkpoint")) == {(1, row.checkpoint_id)}


def test_a_fresh_ranking_moves_its_scores(refitted: Project, carol: User):
    comparison = judged_comparisons(refitted, held_out=False)[0]
    first, second = (int(pk) for pk in comparison.completions_key.split(","))
    before = scores_of(refitted)
    worse = first if before[first] < before[second] else second
    better = first + second - worse
    rank(refitted, carol, comparison, worse)
    live.set_every(refitted, 1)
    assert live.sweep() == 1 and refitting.refit(refitted.pk)
    after = scores_of(refitted)
    assert after[worse] - after[better] > before[worse] - before[better] + 0.01
    assert row_of(refitted).rankings == 11
    assert newest_reward_of(row_of(refitted).checkpoint).heads.weights.shape[0] == 5


def test_it_waits_for_so_many_rankings(refitted: Project, carol: User, sent: list[int]):
    sent.clear()
    for number, comparison in enumerate(judged_comparisons(refitted, held_out=False)[:3], start=1):
        assert live.sweep() == 0 and not refitting.refit(refitted.pk)
        rank(refitted, carol, comparison, int(comparison.completions_key.split(",")[0]))
        live.count_new()
        assert row_of(refitted).fresh == number
    assert live.sweep() == 1 and refitting.refit(refitted.pk)
    assert row_of(refitted).fresh == 0 and live.sweep() == 0


def test_held_out_tasks_are_neither_counted_nor_learned_from(refitted: Project, carol: User):
    before = scores_of(refitted)
    for comparison in judged_comparisons(refitted, held_out=True):
        rank(refitted, carol, comparison, int(comparison.completions_key.split(",")[0]))
    live.count_new()
    assert row_of(refitted).fresh == 0
    LiveHeads.objects.update(fresh=3)
    assert refitting.refit(refitted.pk)
    assert row_of(refitted).rankings == 10
    assert scores_of(refitted) == pytest.approx(before, abs=0.02)


def test_an_undone_ranking_counts_no_more(refitted: Project, carol: User):
    comparison = judged_comparisons(refitted, held_out=False)[0]
    before = scores_of(refitted)
    ranking = rank(refitted, carol, comparison, int(comparison.completions_key.split(",")[0]))
    LiveHeads.objects.update(fresh=3)
    assert refitting.refit(refitted.pk) and row_of(refitted).rankings == 11
    submit.undo(annotator=carol, ranking=ranking, idempotency_key="undo")
    LiveHeads.objects.update(fresh=3)
    assert refitting.refit(refitted.pk) and row_of(refitted).rankings == 10
    assert scores_of(refitted) == pytest.approx(before, abs=0.05)


def test_twice_gives_the_same_also_in_another_process(refitted: Project):
    before = scores_of(refitted)
    LiveHeads.objects.update(fresh=3)
    assert refitting.refit(refitted.pk)
    assert scores_of(refitted) == pytest.approx(before, abs=0.02)
    refitting.forget()  # as a process that has just started
    LiveHeads.objects.update(fresh=3)
    assert refitting.refit(refitted.pk)
    assert scores_of(refitted) == pytest.approx(before, abs=0.02)


def test_priorities_follow_the_heads_and_stay_within_reach(refitted: Project):
    places = dict(refitted.comparisons.filter(rule__in=CHOSEN).values_list("pk", "priority"))
    assert len(set(places.values())) == len(places) == 8
    assert all(0 < place <= 1 for place in places.values())


def test_random_comparisons_keep_random_places(refitted: Project):
    chosen = list(refitted.comparisons.filter(rule="random", judgments_wanted=1).values_list("pk", flat=True))
    above = []
    for number in range(1, 60):
        refitting._rank(refitted, dict.fromkeys(scores_of(refitted), np.arange(5.0)), seed=number)
        places = places_of(refitted)
        above += [places[pk] for pk in chosen]
    assert np.mean(above) == pytest.approx(0.5, abs=0.08)  # 236 draws of a uniform: s.d. 0.019


def test_what_somebody_holds_or_nobody_may_have_stays_where_it_is(refitted: Project):
    one, other = refitted.comparisons.filter(rule__in=CHOSEN).order_by("pk")[:2]
    one.is_closed = True
    one.priority = 0.25
    one.save()
    listed = {pk for pk, _, _ in priorities.open_and_free(refitted, rules=CHOSEN)}
    assert one.pk not in listed and other.pk in listed
    priorities.change([(one.pk, 0.75), (other.pk, 0.75)])
    assert (places_of(refitted)[one.pk], places_of(refitted)[other.pk]) == (0.25, 0.75)


def test_a_new_text_is_taken_in(refitted: Project):
    prompt = refitted.prompts.first()
    (new,) = make_completions(prompt, 1)
    LiveHeads.objects.update(fresh=3)
    assert refitting.refit(refitted.pk)
    assert new.pk in scores_of(refitted)


def test_of_two_workers_one_does_it(refitted: Project):
    LiveHeads.objects.update(fresh=3)
    first, second = live.Claim.take(refitted.pk), live.Claim.take(refitted.pk)
    assert first is not None and second is None
    first.done()
    assert live.Claim.take(refitted.pk) is None, "it was done, so it is not due any more"


@pytest.mark.parametrize("place", ["_save", "_store", "_rank"])
def test_killed_in_the_middle_it_is_done_again(
    refitted: Project, carol: User, monkeypatch: pytest.MonkeyPatch, sent: list[int], place: str
):
    comparison = judged_comparisons(refitted, held_out=False)[0]
    rank(refitted, carol, comparison, int(comparison.completions_key.split(",")[0]))
    LiveHeads.objects.update(fresh=3)
    before, row = scores_of(refitted), row_of(refitted)

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refitting, place, killed)
        patch.setattr(live.Claim, "abandon", lambda self: None)  # kill -9 leaves no time for it
        with pytest.raises(KeyboardInterrupt):
            refitting.refit(refitted.pk)
    after = row_of(refitted)
    assert after.worker and not refitting.refit(refitted.pk), "the dead worker still holds it"
    assert (scores_of(refitted) == before) is (after.refits == row.refits) is (place != "_rank")
    LiveHeads.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=61))
    sent.clear()
    assert live.sweep() == 1 and sent == [refitted.pk]
    assert refitting.refit(refitted.pk)
    assert row_of(refitted).rankings == 11 and not row_of(refitted).worker


def test_a_worker_that_was_taken_over_writes_nothing(refitted: Project, monkeypatch: pytest.MonkeyPatch):
    LiveHeads.objects.update(fresh=3)
    before = scores_of(refitted)
    save = refitting._save

    def late(claim: live.Claim, *args: Any, **kwargs: Any) -> None:
        save(claim, *args, **kwargs)
        LiveHeads.objects.update(worker="another")
        LiveScore.objects.update(mean=7.0)

    monkeypatch.setattr(refitting, "_save", late)
    assert not refitting.refit(refitted.pk)
    assert set(scores_of(refitted).values()) == {7.0} and set(before) == set(scores_of(refitted))
    assert row_of(refitted).worker == "another"


def test_switched_off_nothing_is_refitted(refitted: Project, sent: list[int]):
    live.set_every(refitted, 0)
    LiveHeads.objects.update(fresh=500, checkpoint=None)
    sent.clear()
    assert live.sweep() == 0 and sent == [] and not refitting.refit(refitted.pk)


def test_without_a_broker_it_is_sent_later(judged: Project, monkeypatch: pytest.MonkeyPatch):
    def down(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("nobody there")

    monkeypatch.setattr(live.app, "send_task", down)
    assert live.sweep() == 0
    monkeypatch.setattr(live.app, "send_task", lambda *args, **kwargs: None)
    assert live.sweep() == 1
    assert live.sweep() == 0, "it is under way"
    LiveHeads.objects.update(sent_at=timezone.now() - timedelta(seconds=live.RESEND_SECONDS + 1))
    assert live.sweep() == 1, "it was lost"


def test_a_checkpoint_that_is_gone_is_said_once(judged: Project, sent: list[int]):
    live.sweep()
    Checkpoint.objects.filter(kind="reward").update(folder="runs/nowhere")
    assert not refitting.refit(judged.pk)
    row = row_of(judged)
    assert "is not a checkpoint" in row.error and not row.worker
    assert live.sweep() == 0


def test_the_folder_says_what_the_heads_were_fitted_to(refitted: Project):
    checkpoint = runs.latest_reward(refitted)
    assert checkpoint is not None
    folder = settings.VAR / live_folder(checkpoint)
    manifest = json.loads((folder / "manifest.json").read_text())
    newest = Ranking.objects.filter(comparison__prompt__is_held_out=False).latest("pk").pk
    assert (manifest["rankings"], manifest["refit"], manifest["newest_ranking"]) == (10, 1, newest)
    assert RewardModel.load(folder, settings.MODELS_DIR).heads.weights.shape[0] == 5
