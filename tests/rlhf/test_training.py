"""Reward and policy runs: checkpoints with their lineage, scores, resumed and cancelled runs."""

from __future__ import annotations

from collections import Counter

import pytest

from annotator.models import Completion, Project
from rlhf import execution, promotion, runs, simulation
from rlhf.execution import Hold
from rlhf.lm.best_of_n import pessimistic
from rlhf.lm.configs import SamplingConfig
from rlhf.lm.data import read_snapshot
from rlhf.models import Checkpoint, Generation, Run, Score
from rlhf.snapshots import path_of, task_of
from rlhf.stages.generation import write
from rlhf.stages.loading import policy_of, reward_of
from rlhf.tasks import stage_of
from tests.factories import make_prompt

SMALL = {
    "steps": 3,
    "prompts_per_step": 2,
    "completions_per_prompt": 3,
    "max_new_tokens": 8,
    "sample_tasks": 1,
}


@pytest.fixture
def judged(tiny_project: Project, carry_out) -> Project:
    """Ten tasks, three of them held out, with completions that simulated annotators have ranked."""
    for number in range(10):
        words = ["warm", "up", "in", "first"]
        make_prompt(
            tiny_project,
            f"Task {number}",
            held_out_examples=[{"input": f"{word} {number}", "output": word[::-1]} for word in words],
        )
    held_out = tiny_project.prompts.order_by("pk").values_list("pk", flat=True)[:3]
    tiny_project.prompts.filter(pk__in=list(held_out)).update(is_held_out=True)
    tiny_project.judgments_wanted = 2
    tiny_project.save()
    carry_out(runs.start_generation(project=tiny_project, config={"max_new_tokens": 10}))
    carry_out(runs.start_scoring(project=tiny_project))
    annotators = simulation.annotators_for(tiny_project, count=3, noise=0.1, seed=0)
    assert max(simulation.simulate(tiny_project, annotators, rankings=60, seed=0)) == 60
    return tiny_project


@pytest.fixture
def rewarded(judged: Project, carry_out) -> Project:
    carry_out(runs.start_reward(project=judged, config={"bootstrap": 100, "steps": 20}))
    return judged


def test_a_reward_model_knows_where_it_comes_from(rewarded: Project):
    checkpoint = rewarded.checkpoints.rewards().get()
    run = checkpoint.run
    assert runs.latest_reward(rewarded) == checkpoint
    assert checkpoint.snapshot == run.snapshot
    assert len(read_snapshot(path_of(checkpoint.snapshot)).judgments) == 60
    assert (checkpoint.seed, checkpoint.config["heads"]) == (0, 5)
    assert checkpoint.code_version.startswith("0.")
    assert 0 <= checkpoint.metrics["accuracy"]["low"] <= checkpoint.metrics["accuracy"]["high"] <= 1
    assert 0.5 < checkpoint.metrics["human_ceiling"]["value"] <= 1
    assert checkpoint.metrics["simulated_share"] == 1
    assert "loss" in run.records.last().values


def test_it_scores_every_completion(rewarded: Project):
    checkpoint = rewarded.checkpoints.rewards().get()
    scores = Score.objects.filter(checkpoint=checkpoint)
    assert scores.count() == Completion.objects.filter(prompt__project=rewarded).count()
    assert len({round(score.mean, 6) for score in scores}) > 5
    assert all(score.std >= 0 for score in scores)


def test_with_a_reward_model_the_next_comparisons_are_chosen_by_it(rewarded: Project, carry_out):
    carry_out(runs.start_generation(project=rewarded, config={"max_new_tokens": 10}))
    rules = Counter(rewarded.comparisons.order_by("-pk").values_list("rule", flat=True)[:40])
    assert rules["d-optimal-heads"] > rules["random"] > 0


def test_of_more_candidates_those_are_kept_that_it_scores_highest(rewarded: Project, carry_out):
    before = Completion.objects.count()
    run = carry_out(runs.start_generation(project=rewarded, config={"max_new_tokens": 10, "best_of": 3}))
    assert run.reward == runs.latest_reward(rewarded)
    new = Generation.objects.filter(run=run)
    assert new.count() == Completion.objects.count() - before
    assert new.first().sampling["best_of"] == 3

    lm, reward = policy_of(run.policy), reward_of(run.reward)
    prompt = rewarded.prompts.first()
    task = task_of(prompt)
    all_of_them = write(
        lm, {task.id: task}, SamplingConfig(completions_per_task=12, max_new_tokens=10, seed=1)
    )
    config = SamplingConfig(completions_per_task=4, best_of=3, max_new_tokens=10, seed=1)
    kept = write(lm, {task.id: task}, config, reward)[task.id]
    scores = {c.text: pessimistic(*reward.score([(task, c.text)]), 1.0)[0] for c in all_of_them[task.id]}
    assert [c.text for c in kept] == sorted(scores, key=lambda text: -scores[text])[:4]


def test_the_best_cannot_be_kept_without_a_reward_model(judged: Project):
    with pytest.raises(runs.CannotStart, match="reward model"):
        runs.start_generation(project=judged, config={"best_of": 2})


@pytest.mark.parametrize("strategy", ["bald", "thompson", "random"])
def test_a_manager_may_choose_another_way(rewarded: Project, carry_out, strategy: str):
    rewarded.selection_strategy = strategy
    rewarded.completions_per_comparison = 3
    rewarded.save()
    carry_out(runs.start_generation(project=rewarded, config={"max_new_tokens": 10}))
    rules = set(rewarded.comparisons.order_by("-pk").values_list("rule", flat=True)[:20])
    assert rules == {strategy, "random"}


def test_a_reward_model_says_how_reliable_members_are(rewarded: Project):
    report = rewarded.checkpoints.rewards().get().metrics["annotators"]
    members = rewarded.memberships.exclude(reliability=None)
    assert sorted(members.values_list("reliability", flat=True)) == sorted(row["value"] for row in report)
    assert len(report) == members.filter(user__is_simulated=True, reliability_error__gt=0).count() == 3


def test_a_cancelled_reward_run_leaves_no_checkpoint(judged: Project):
    run = runs.start_reward(project=judged, config={"bootstrap": 100})

    def stage(hold: Hold) -> None:
        Run.objects.filter(pk=run.pk).update(cancel_requested=True)
        stage_of("reward")(hold)

    execution.execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert not judged.checkpoints.rewards().exists()


def test_a_policy_knows_where_it_comes_from_and_can_be_promoted(rewarded: Project, carry_out):
    run = carry_out(runs.start_policy(project=rewarded, config=SMALL))
    checkpoint = run.checkpoint
    assert checkpoint.parent == runs.base_policy(rewarded)
    assert (checkpoint.iteration, checkpoint.snapshot) == (1, run.snapshot)
    assert [record.step for record in run.records.all()] == [0, 1, 2, 3]
    assert {"reward", "kl", "length", "entropy", "peak_mb"} <= set(run.records.last().values)
    assert run.samples.filter(step=0).get().reference_text
    promotion.promote(checkpoint, user=None, unevaluated=True)
    again = carry_out(runs.start_generation(project=rewarded, config={"max_new_tokens": 8}))
    assert again.iteration == 2
    assert again.generations.first().checkpoint == checkpoint
    assert Completion.objects.filter(prompt__project=rewarded, iteration=2).exists()


def test_a_stopped_policy_run_ends_with_the_same_numbers(rewarded: Project, carry_out, stop_after):
    whole = carry_out(runs.start_policy(project=rewarded, config=SMALL))
    run = runs.start_policy(project=rewarded, config=SMALL)
    stop_after(run, 1)
    carry_out(run)
    assert run.attempts == 2
    assert numbers(run) == numbers(whole)
    assert texts(run) == texts(whole)


def numbers(run: Run) -> list[dict[str, float]]:
    timed = {"peak_mb", "seconds", "sampling_seconds", "tokens_per_s"}
    return [{k: v for k, v in r.values.items() if k not in timed} for r in run.records.order_by("step")]


def texts(run: Run) -> list[tuple[int, str, str]]:
    return list(run.samples.order_by("step", "prompt").values_list("step", "text", "reference_text"))


@pytest.mark.parametrize("algorithm", ["dpo", "sft", "grpo", "dr_grpo", "ppo", "ilql"])
def test_every_algorithm_leaves_a_policy_that_writes(rewarded: Project, carry_out, algorithm: str):
    small = {"max_new_tokens": 8, "sample_tasks": 1}
    small |= {"epochs": 1} if algorithm in ("dpo", "sft", "ilql") else {"steps": 1}
    run = runs.start_policy(project=rewarded, algorithm=algorithm, config=small)
    carry_out(run)
    assert run.checkpoint.name == f"{algorithm} {run.pk}"
    assert run.checkpoint.metrics.keys() & {"reward", "loss"}
    assert run.total == run.records.last().step
    assert run.samples.exists()
    promotion.promote(run.checkpoint, user=None, unevaluated=True)
    carry_out(runs.start_generation(project=rewarded, config={"max_new_tokens": 8}))
    assert Completion.objects.filter(prompt__project=rewarded, iteration=2).exists()


SMALL_ILQL = {
    "samples_per_task": 2,
    "max_new_tokens": 8,
    "epochs": 2,
    "beta_trials": 1,
    "check_samples": 1,
    "kl_budget": 1000,
    "save_every": 1,
}


def test_a_policy_with_q_heads_is_evaluated_and_gives_way_to_its_parent(rewarded: Project, carry_out):
    run = carry_out(runs.start_policy(project=rewarded, algorithm="ilql", config=SMALL_ILQL))
    policy = run.checkpoint
    assert "beta" in policy.metrics
    result = carry_out(runs.start_evaluation(project=rewarded, new=policy)).evaluation.result
    assert result["kl"] >= 0
    with pytest.raises(runs.CannotStart, match="Q heads"):
        runs.start_policy(project=rewarded, policy=policy)
    promotion.promote(policy, user=None)
    assert runs.promoted_policy(rewarded) == policy
    again = runs.start_policy(project=rewarded, algorithm="dpo")
    assert again.policy == runs.base_policy(rewarded)


def test_a_stopped_run_of_q_learning_ends_with_the_same_numbers(rewarded: Project, carry_out, stop_after):
    whole = carry_out(runs.start_policy(project=rewarded, algorithm="ilql", config=SMALL_ILQL))
    run = runs.start_policy(project=rewarded, algorithm="ilql", config=SMALL_ILQL)
    stop_after(run, 1)
    carry_out(run)
    assert run.attempts == 2
    assert numbers(run) == numbers(whole)
    assert texts(run) == texts(whole)


def test_a_run_keeps_the_rankings_that_it_started_with(rewarded: Project, carry_out, stop_after):
    run = runs.start_policy(project=rewarded, config=SMALL)
    stop_after(run, 1)
    snapshot = run.snapshot
    make_prompt(rewarded, "A task that came later")
    carry_out(run)
    assert run.snapshot == snapshot == run.checkpoint.snapshot


def test_a_cancelled_policy_run_can_be_resumed(rewarded: Project, carry_out):
    run = runs.start_policy(project=rewarded, config=SMALL)

    def stage(hold: Hold) -> None:
        record = hold.record

        def cancelling(*args, **kwargs) -> None:
            Run.objects.filter(pk=run.pk, step=1).update(cancel_requested=True)
            record(*args, **kwargs)

        hold.record = cancelling
        stage_of("policy")(hold)

    execution.execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert (run.state, run.step) == ("cancelled", 2)
    assert not Checkpoint.objects.filter(run=run).exists()
    carry_out(runs.resume(run))
    assert [record.step for record in run.records.all()] == [0, 1, 2, 3]


def test_an_evaluation_compares_on_held_out_tasks(rewarded: Project, carry_out):
    policy = carry_out(runs.start_policy(project=rewarded, config=SMALL)).checkpoint
    run = carry_out(runs.start_evaluation(project=rewarded, config={"max_new_tokens": 8, "bootstrap": 100}))
    evaluation = run.evaluation
    assert (evaluation.new, evaluation.old) == (policy, runs.base_policy(rewarded))
    result = evaluation.result
    held_out = {str(prompt.pk) for prompt in rewarded.prompts.held_out()}
    assert {task["task_id"] for task in result["tasks"]} == held_out
    for name in ("gold", "reward"):
        gain = result[name]["difference"]
        assert gain["low"] <= gain["value"] <= gain["high"]
        assert gain["value"] == pytest.approx(result[name]["new"]["value"] - result[name]["old"]["value"])
    assert run.step == run.total
    assert {"fluency", "consistency", "variety", "self_similarity", "leaks", "length"} <= set(result)
    assert set(result["wins"]) == {"gold", "reward"} and "texts" not in result
    sample = run.samples.get(step=1, prompt_id=min(held_out))
    assert sample.text and sample.reference_text and sample.values["old"]["tokens"] > 0
    assert run.samples.count() == 4 * len(held_out)
    assert not evaluation.blind.exists(), "people are asked only where that was wanted"


def test_an_evaluation_asks_people_at_its_end(rewarded: Project, carry_out):
    carry_out(runs.start_policy(project=rewarded, config=SMALL))
    config = {"max_new_tokens": 8, "bootstrap": 100}
    run = carry_out(runs.start_evaluation(project=rewarded, ask_people=2, config=config))
    asked = list(run.evaluation.blind.select_related("comparison__prompt"))
    assert 1 <= len(asked) <= 2 and all(row.comparison.prompt.is_held_out for row in asked)
    made = Generation.objects.filter(completion__in=[*asked[0].old, *asked[0].new])
    assert {row.checkpoint for row in made} <= {run.policy, run.old_policy}


@pytest.mark.parametrize("algorithm", ["rloo", "sft"])
def test_gold_is_measured_along_a_run_on_held_out_tasks(rewarded: Project, carry_out, algorithm: str):
    config = {"gold_every": 2, "max_new_tokens": 8, "sample_tasks": 1}
    config |= SMALL if algorithm == "rloo" else {"epochs": 4}
    run = runs.start_policy(project=rewarded, algorithm=algorithm, config=config)
    carry_out(run)
    measured = [record for record in run.records.order_by("step") if "gold" in record.values]
    last = run.records.order_by("step").last()
    assert [r.step for r in measured] == [s for s in range(last.step + 1) if s % 2 == 0 or s == last.step]
    held_out = {str(prompt.pk) for prompt in rewarded.prompts.held_out()}
    for record in measured:
        assert {key.split("/")[1] for key in record.values if key.startswith("gold/")} == held_out
        assert {f"gold_reward/{task}" for task in held_out} <= set(record.values)


def test_the_next_reward_model_is_judged_beside_the_one_before(rewarded: Project, carry_out):
    first = rewarded.checkpoints.rewards().get()
    assert (first.metrics["previous"], first.metrics["previous_model"]) == (None, None)
    carry_out(runs.start_generation(project=rewarded, config={"max_new_tokens": 10}))
    carry_out(runs.start_reward(project=rewarded, config={"bootstrap": 100, "steps": 20}))
    second = rewarded.checkpoints.rewards().first()
    assert second.metrics["previous_model"] == {"id": first.pk, "name": first.name}
    # The judgments are the same and so is the model: pair by pair nothing is gained.
    assert second.metrics["previous"] == second.metrics["accuracy"]
    assert second.metrics["gains"]["previous"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    written = Completion.objects.filter(prompt__project=rewarded).count()
    assert Score.objects.filter(checkpoint=first).count() == written  # what came after it too
    assert {row["rule"] for row in second.metrics["selection"]} == {"random", "d-optimal-heads"}


def test_a_previous_model_that_cannot_be_read_is_named_and_not_compared(
    rewarded: Project, carry_out, settings
):
    first = rewarded.checkpoints.rewards().get()
    (settings.VAR / first.folder / "heads.safetensors").write_bytes(b"broken")
    run = carry_out(runs.start_reward(project=rewarded, config={"bootstrap": 100, "steps": 20}))
    assert "The previous reward model was not compared" in run.note
    assert run.checkpoint.metrics["previous"] is None
