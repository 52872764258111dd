"""Promotion asks for figures, keeps what was seen, by whom and when, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from annotator.models import Project, User
from rlhf import promotion, runs
from rlhf.models import Checkpoint, Evaluation, Promotion, Run, RunRecord
from rlhf.promotion import NotEvaluated, NotSeen, figures_of, promote
from rlhf.promotion_page import dialog_of, figures, warnings

URL = "/projects/support/models/"
GAIN = {"value": 0.1, "low": 0.05, "high": 0.15}
RATE = {"value": 0.62, "low": 0.55, "high": 0.7}
RESULT = {
    "gold": {"old": 0.4, "new": 0.5, "difference": GAIN},
    "wins": {"gold": {"rate": RATE, "controlled": RATE, "matches": 40, "tasks": 10}},
    "kl": 2.0,
}


@pytest.fixture
def policy(project: Project) -> Checkpoint:
    return Checkpoint.objects.create(
        project=project,
        kind="policy",
        name="rloo 1",
        base_model=project.base_model,
        parent=runs.base_policy(project),
        run=Run.objects.create(project=project, kind="policy", state="done", config={"gold_every": 1}),
    )


def evaluate(policy: Checkpoint, **result: Any) -> Evaluation:
    run = Run.objects.create(project=policy.project, kind="evaluation", state="done")
    return Evaluation.objects.create(
        run=run, old=runs.base_policy(policy.project), new=policy, result={**RESULT, **result}
    )


def let_it_game(run: Run | None) -> None:
    assert run is not None
    for step, gold, reward in ((0, 0.5, 0.0), (1, 0.2, 1.0)):
        values: dict[str, float] = {"gold": gold, "gold_reward": reward}
        for task in range(6):
            values |= {f"gold/{task}": gold + task / 100 * step, f"gold_reward/{task}": reward + task / 100}
        RunRecord.objects.create(run=run, step=step, values=values)


def test_what_was_never_evaluated_is_promoted_only_by_saying_so(policy: Checkpoint, alice: User):
    with pytest.raises(NotEvaluated, match="rloo 1 was never evaluated"):
        promote(policy, user=alice)
    assert not Promotion.objects.exists() and policy.promoted_at is None
    assert promote(policy, user=alice, unevaluated=True)
    kept = Promotion.objects.get()
    assert (kept.checkpoint, kept.former, kept.evaluation) == (policy, runs.base_policy(policy.project), None)
    assert (kept.figures, kept.promoted_by) == ({}, alice)


def test_the_figures_of_the_day_are_kept(policy: Checkpoint, alice: User):
    first = evaluate(policy)
    assert promote(policy, user=alice, seen=first.pk)
    kept = Promotion.objects.get()
    assert kept.evaluation == first and kept.promoted_by == alice and kept.promoted_at is not None
    assert kept.figures == {
        "gold_gain": GAIN,
        "gold_wins": RATE,
        "gold_wins_at_length": RATE,
        "kl": 2.0,
    }
    Evaluation.objects.update(result={})
    assert Promotion.objects.get().figures["gold_gain"] == GAIN


def test_figures_that_are_no_longer_the_newest_are_refused(policy: Checkpoint, alice: User):
    first = evaluate(policy)
    evaluate(policy)
    with pytest.raises(NotSeen):
        promote(policy, user=alice, seen=first.pk)
    assert runs.promoted_policy(policy.project) != policy


def test_a_second_click_changes_nothing(policy: Checkpoint, alice: User):
    evaluate(policy)
    assert promote(policy, user=alice)
    assert not promote(policy, user=alice)
    assert Promotion.objects.count() == 1


def test_going_back_asks_nothing_and_is_recorded_too(policy: Checkpoint, alice: User, project: Project):
    base = runs.base_policy(project)
    promote(policy, user=alice, unevaluated=True)
    assert promote(base, user=alice)
    assert runs.promoted_policy(project) == base
    assert promote(policy, user=alice), "it wrote before"
    rows = [(row.checkpoint, row.former) for row in promotion.history(project)]
    assert rows == [(policy, base), (base, policy), (policy, base)]


def test_a_gamed_reward_is_among_the_figures(policy: Checkpoint):
    let_it_game(policy.run)
    found = figures_of(policy, evaluate(policy))
    assert (found["gamed"]["since"], found["gamed"]["until"]) == (0, 1)
    said = warnings(found)
    assert said == [
        "The reward was gamed: from step 0 to 1 gold changed by −0.28 and the reward by +1.00, "
        "both beyond chance."
    ]


def test_what_speaks_against_it_is_said():
    worse = {"value": -0.1, "low": -0.2, "high": -0.05}
    assert warnings({"gold_gain": worse}) == ["By the gold metric it is worse than the old one."]
    disliked = {"value": 0.4, "low": 0.3, "high": 0.48}
    assert warnings({"people_wins": disliked, "people_wins_at_length": disliked}) == [
        "People prefer the old one."
    ]
    assert warnings({"gold_gain": GAIN, "people_wins": RATE}) == []
    assert [item.text for item in figures({"gold_gain": GAIN, "people_wins": RATE})] == ["+0.10", "62 %"]


def test_the_dialog_asks_where_nothing_is_known(policy: Checkpoint):
    assert dialog_of(policy).asks and dialog_of(policy).figures == []
    evaluate(policy)
    assert not dialog_of(policy).asks and dialog_of(policy).figures
    assert not dialog_of(runs.base_policy(policy.project)).asks


def test_the_command_asks_too_and_prints_the_figures(policy: Checkpoint, capsys: Any):
    with pytest.raises(CommandError, match="--unevaluated"):
        call_command("promote", str(policy.pk))
    evaluate(policy)
    call_command("promote", str(policy.pk))
    out = capsys.readouterr().out
    assert '"gold_gain"' in out and "now writes" in out


class TestPages:
    @pytest.fixture
    def manager(self, alice: User, client_of: Callable[[User], Client]) -> Client:
        return client_of(alice)

    def test_an_evaluated_one_is_promoted_by_one_click(self, manager: Client, policy: Checkpoint):
        evaluation = evaluate(policy)
        content = manager.get(URL).content.decode()
        assert f'name="seen" value="{evaluation.pk}"' in content
        content = manager.post(
            f"{URL}{policy.pk}/promote/", {"seen": evaluation.pk}, follow=True
        ).content.decode()
        assert "rloo 1 writes the instructions from now on." in content
        assert 'id="promotions"' in content and "+0.10" in content and 'id="promotion-undo"' in content

    def test_one_that_is_not_leads_to_a_page_that_says_so(self, manager: Client, policy: Checkpoint):
        content = manager.get(URL).content.decode()
        assert f'href="{URL}{policy.pk}/promote/"' in content
        response = manager.post(f"{URL}{policy.pk}/promote/")
        assert response.status_code == 422
        content = response.content.decode()
        assert "rloo 1 was never evaluated." in content and "Promote without an evaluation" in content
        response = manager.post(f"{URL}{policy.pk}/promote/", {"unevaluated": "1"}, follow=True)
        assert "Without an evaluation" in response.content.decode()
        assert runs.promoted_policy(policy.project) == policy

    def test_a_marked_one_leads_to_the_page_with_the_mark(self, manager: Client, policy: Checkpoint):
        evaluate(policy)
        let_it_game(policy.run)
        content = manager.get(URL).content.decode()
        assert "Reward gamed" in content and f'href="{URL}{policy.pk}/promote/"' in content
        content = manager.get(f"{URL}{policy.pk}/promote/").content.decode()
        assert "The reward was gamed" in content and "Promote all the same" in content

    def test_one_click_takes_it_back(self, manager: Client, policy: Checkpoint, project: Project):
        promote(policy, user=None, unevaluated=True)
        base = runs.base_policy(project)
        content = manager.get(URL).content.decode()
        form = content.split('id="promotion-undo"')[0].rsplit("<form", 1)[1]
        assert f'action="{URL}{base.pk}/promote/"' in form
        manager.post(f"{URL}{base.pk}/promote/")
        assert runs.promoted_policy(project) == base

    def test_stale_figures_are_shown_anew(self, manager: Client, policy: Checkpoint):
        first = evaluate(policy)
        newer = evaluate(policy)
        response = manager.post(f"{URL}{policy.pk}/promote/", {"seen": first.pk})
        assert response.status_code == 422
        content = response.content.decode()
        assert "There is a newer evaluation" in content and f'name="seen" value="{newer.pk}"' in content

    def test_names_are_shown_as_text(self, manager: Client, policy: Checkpoint):
        Checkpoint.objects.filter(pk=policy.pk).update(name="<img src=x>")
        policy.refresh_from_db()
        promote(policy, user=None, unevaluated=True)
        for url in (URL, f"{URL}{policy.pk}/promote/"):
            content = manager.get(url).content.decode()
            assert "&lt;img src=x&gt;" in content and "<img src=x>" not in content
