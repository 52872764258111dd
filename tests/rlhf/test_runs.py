"""What people do with runs: refused starts, the broker that is down, cancel, resume, promote."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotator.models import Event, Project, User
from rlhf import promotion, runs
from rlhf.models import Checkpoint, Run, Score
from rlhf.runs import CannotStart
from tests.factories import make_comparison, make_completions, make_prompt, make_ranking

HELD_OUT = [{"input": "warm", "output": "cold"}, {"input": "up", "output": "down"}]


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[int]:
    """The runs that were put on the broker."""
    put: list[int] = []
    monkeypatch.setattr(runs.app, "send_task", lambda name, args, retry: put.extend(args))
    return put


@pytest.fixture
def project(project: Project) -> Project:
    """A new task may be held out by its hash, and its text has a number that depends on the tests before."""
    project.held_out_share = 0
    project.save()
    return project


@pytest.fixture
def everything_held_out(project: Project) -> Project:
    project.held_out_share = 0.9
    project.save()
    return project


def make_checkpoint(project: Project, kind: str, **values) -> Checkpoint:
    run = Run.objects.create(project=project, kind=kind, state=Run.State.DONE)
    values.setdefault("base_model", project.base_model)
    return Checkpoint.objects.create(project=project, kind=kind, name=f"{kind} {run.pk}", run=run, **values)


@pytest.fixture
def ranked(project: Project, bob: User) -> Project:
    make_comparison(project, make_prompt(project, held_out_examples=HELD_OUT))
    make_ranking(project, bob)
    return project


def test_generation_needs_tasks(project: Project):
    with pytest.raises(CannotStart, match="no tasks yet"):
        runs.start_generation(project=project)
    assert not Run.objects.exists()


def test_generation_is_made_by_the_base_model_at_first(project: Project, alice: User):
    make_prompt(project)
    run = runs.start_generation(project=project, user=alice, completions_per_task=6)
    assert (run.state, run.kind, run.iteration, run.total) == ("queued", "generation", 1, 1)
    assert run.config["completions_per_task"] == 6
    assert run.policy == runs.promoted_policy(project)
    assert (run.policy.folder, run.policy.run) == ("", None)
    assert run.created_by == alice
    assert Event.objects.get(project=project).verb == "started"


def test_a_second_generation_does_not_repeat_the_first_ones_samples(project: Project):
    make_prompt(project)
    first = runs.start_generation(project=project)
    Run.objects.update(state=Run.State.DONE)
    assert runs.start_generation(project=project).config["seed"] != first.config["seed"]


def test_too_few_completions_for_a_comparison_are_refused(project: Project):
    make_prompt(project)
    project.completions_per_comparison = 4
    with pytest.raises(CannotStart, match="shows 4"):
        runs.start_generation(project=project, completions_per_task=3)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"temprature": 1}, "temprature"),
        ({"top_p": 1.5}, "top_p"),
        ({"max_new_tokens": "many"}, "many"),
        ({"max_new_tokens": 2.5}, "max_new_tokens"),
        ({"temperature": float("nan")}, "temperature"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(project: Project, config: dict, named: str):
    make_prompt(project)
    with pytest.raises(CannotStart, match=named):
        runs.start_generation(project=project, config=config)
    assert not Run.objects.exists()


def test_text_from_a_form_is_read(ranked: Project):
    run = runs.start_reward(project=ranked, config={"heads": "3", "length": "given", "l2": "1.5"})
    assert (run.config["heads"], run.config["length"], run.config["l2"]) == (3, "given", 1.5)


@pytest.mark.parametrize(
    ("config", "named"), [({"length": "halved"}, "length"), ({"inputs": "max, smell"}, "smell")]
)
def test_an_unknown_input_or_use_of_length_is_refused(ranked: Project, config: dict, named: str):
    with pytest.raises(CannotStart, match=named):
        runs.start_reward(project=ranked, config=config)
    assert not Run.objects.exists()


@pytest.mark.parametrize("model", ["/nowhere/model", "./nowhere", "~/nowhere.gguf", "model.gguf"])
def test_an_unknown_model_is_refused(project: Project, model: str):
    make_prompt(project)
    project.model = model
    with pytest.raises(CannotStart, match="Unknown model"):
        runs.start_generation(project=project)
    assert not Run.objects.exists()


def test_a_folder_that_is_no_model_is_refused(project: Project, tmp_path):
    make_prompt(project)
    project.model = str(tmp_path)
    with pytest.raises(CannotStart, match=r"config\.json"):
        runs.start_generation(project=project)


def test_a_reward_model_needs_rankings_on_training_tasks(project: Project, ranked: Project):
    ranked.prompts.update(is_held_out=True)
    with pytest.raises(CannotStart, match="no rankings"):
        runs.start_reward(project=ranked)
    ranked.prompts.update(is_held_out=False)
    assert runs.start_reward(project=ranked).kind == "reward"


def test_a_policy_needs_a_reward_model(project: Project):
    make_prompt(project)
    with pytest.raises(CannotStart, match="no reward model"):
        runs.start_policy(project=project)
    reward = make_checkpoint(project, "reward")
    run = runs.start_policy(project=project)
    assert (run.reward, run.policy) == (reward, runs.base_policy(project))


def test_rankings_alone_are_enough_for_dpo(ranked: Project):
    run = runs.start_policy(project=ranked, algorithm="dpo")
    assert (run.reward, run.config["beta"]) == (None, 0.1)
    assert "kl_coef" not in run.config


def test_q_learning_needs_a_reward_model_or_rankings(project: Project):
    make_prompt(project)
    with pytest.raises(CannotStart, match="no reward model"):
        runs.start_policy(project=project, algorithm="ilql")
    with pytest.raises(CannotStart, match="nothing to learn"):
        runs.start_policy(project=project, algorithm="ilql", config={"rewards": "rankings"})
    reward = make_checkpoint(project, "reward")
    run = runs.start_policy(project=project, algorithm="ilql")
    assert (run.reward, run.config["beta"], run.config["tau"]) == (reward, 8, 0.7)


def test_rankings_alone_are_enough_for_q_learning(ranked: Project):
    run = runs.start_policy(project=ranked, algorithm="ilql", config={"rewards": "rankings"})
    assert run.reward is None


def test_without_rankings_only_given_instructions_can_be_learned(project: Project):
    prompt = make_prompt(project)
    for algorithm in ("dpo", "sft"):
        with pytest.raises(CannotStart, match="nothing to learn"):
            runs.start_policy(project=project, algorithm=algorithm)
    prompt.reference = "Sort it."
    prompt.save()
    assert runs.start_policy(project=project, algorithm="sft").kind == "policy"


def test_an_unknown_algorithm_is_refused(project: Project):
    make_prompt(project)
    make_checkpoint(project, "reward")
    with pytest.raises(CannotStart, match="magic"):
        runs.start_policy(project=project, algorithm="magic")


def test_a_checkpoint_of_the_wrong_kind_is_refused(project: Project):
    make_prompt(project)
    reward = make_checkpoint(project, "reward")
    policy = make_checkpoint(project, "policy")
    with pytest.raises(CannotStart, match="reward model"):
        runs.start_policy(project=project, policy=reward)
    with pytest.raises(CannotStart, match="policy"):
        runs.start_policy(project=project, reward=policy)
    with pytest.raises(CannotStart):
        runs.start_evaluation(project=project, new=reward)
    with pytest.raises(CannotStart):
        promotion.promote(reward, user=None)
    assert not Run.objects.active().exists()


def test_a_checkpoint_of_another_project_is_refused(project: Project):
    other = Project.objects.create(name="Other", slug="other")
    make_prompt(project)
    with pytest.raises(CannotStart, match="another project"):
        runs.start_policy(project=project, reward=make_checkpoint(other, "reward"))


def test_an_evaluation_needs_a_trained_policy_and_held_out_tasks(project: Project):
    prompt = make_prompt(project)
    with pytest.raises(CannotStart, match="no trained policy"):
        runs.start_evaluation(project=project)
    new = make_checkpoint(project, "policy", parent=runs.base_policy(project))
    with pytest.raises(CannotStart, match="held out"):
        runs.start_evaluation(project=project)
    project.prompts.filter(pk=prompt.pk).update(is_held_out=True)
    run = runs.start_evaluation(project=project)
    assert (run.policy, run.old_policy) == (new, runs.base_policy(project))


def test_scoring_needs_something_to_score(project: Project):
    make_completions(make_prompt(project), 2)
    with pytest.raises(CannotStart, match="nothing to score"):
        runs.start_scoring(project=project)
    first, _second = make_completions(make_prompt(project, held_out_examples=HELD_OUT), 2)
    Score.objects.create(completion=first, mean=0.5)
    assert runs.start_scoring(project=project).total == 1


def test_the_same_kind_twice_is_refused(project: Project):
    make_prompt(project)
    first = runs.start_generation(project=project)
    with pytest.raises(CannotStart, match=f"Generation {first.pk}"):
        runs.start_generation(project=project)
    assert Run.objects.count() == 1


def test_it_is_sent_when_it_is_committed(project: Project, sent, django_capture_on_commit_callbacks):
    make_prompt(project)
    with django_capture_on_commit_callbacks(execute=True):
        run = runs.start_generation(project=project)
        assert sent == []
    assert sent == [run.pk]
    run.refresh_from_db()
    assert run.sent_at is not None


def test_a_broker_that_is_down_delays_a_run_and_no_more(
    project: Project, sent, monkeypatch, django_capture_on_commit_callbacks
):
    make_prompt(project)

    def down(*args, **kwargs):
        raise OperationalError("Connection refused")

    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(runs.app, "send_task", down)
        run = runs.start_generation(project=project)
    run.refresh_from_db()
    assert (run.state, run.sent_at) == ("queued", None)
    assert runs.send_waiting() == 1
    assert sent == [run.pk]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", ["redis+socket:///nowhere/redis.sock", "redis://127.0.0.1:1/0"])
def test_a_page_does_not_wait_for_a_broker_that_is_down(project: Project, monkeypatch, url: str):
    monkeypatch.undo()
    make_prompt(project)
    with runs.app.connection_for_write(url) as connection:
        monkeypatch.setattr(runs.app, "connection_for_write", lambda *a, **k: connection)
        monkeypatch.setattr(runs.app.amqp, "_producer_pool", None)
        monkeypatch.setattr(runs.app.conf, "broker_url", url)
        start = time.monotonic()
        run = runs.start_generation(project=project)
        took = time.monotonic() - start
    assert run.state == "queued"
    assert Run.objects.get(pk=run.pk).sent_at is None
    assert took < 2


def test_the_sweep_sends_again_what_nobody_took(project: Project, sent):
    run = Run.objects.create(project=project, kind="policy", sent_at=timezone.now())
    assert runs.send_waiting() == 0
    Run.objects.update(sent_at=timezone.now() - timedelta(seconds=runs.RESEND_SECONDS + 1))
    assert runs.send_waiting() == 1
    Run.objects.update(state="running", sent_at=None)
    assert runs.send_waiting() == 0
    assert sent == [run.pk]


def test_cancelling_a_waiting_run_ends_it(project: Project, alice: User):
    run = Run.objects.create(project=project, kind="policy")
    assert runs.cancel(run, user=alice)
    assert (run.state, run.cancel_requested) == ("cancelled", True)
    assert run.finished_at is not None
    assert not runs.cancel(run)


def test_cancelling_a_running_run_asks_its_worker(project: Project):
    run = Run.objects.create(project=project, kind="policy", state="running", worker="w")
    assert runs.cancel(run)
    assert (run.state, run.cancel_requested) == ("running", True)


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_ended_badly_can_be_resumed(project: Project, state: str):
    run = Run.objects.create(project=project, kind="policy", state=state, cancel_requested=True, error="x")
    runs.resume(run)
    assert (run.state, run.cancel_requested, run.error) == ("queued", False, "")


def test_what_is_done_or_under_way_cannot_be_resumed(project: Project):
    for state in ("done", "running"):
        run = Run.objects.create(project=project, kind="policy", state=state)
        with pytest.raises(CannotStart):
            runs.resume(run)


def test_a_run_cannot_be_resumed_beside_another_of_its_kind(project: Project):
    failed = Run.objects.create(project=project, kind="policy", state="failed")
    Run.objects.create(project=project, kind="policy")
    with pytest.raises(CannotStart, match="under way"):
        runs.resume(failed)
    failed.refresh_from_db()
    assert failed.state == "failed"


def test_promoting_makes_the_next_iteration_and_can_be_taken_back(project: Project, alice: User):
    base = runs.promoted_policy(project)
    assert runs.iteration(project) == 1
    new = make_checkpoint(project, "policy", iteration=1, parent=base)
    promotion.promote(new, user=alice, unevaluated=True)
    assert runs.promoted_policy(project) == new
    assert new.promoted_by == alice
    assert runs.iteration(project) == 2
    promotion.promote(base, user=alice)
    assert runs.promoted_policy(project) == base
    assert runs.iteration(project) == 1


def test_another_base_model_begins_anew(project: Project):
    promotion.promote(make_checkpoint(project, "policy"), user=None, unevaluated=True)
    project.model = "minilm"
    policy = runs.promoted_policy(project)
    assert (policy.run, policy.base_model) == (None, "minilm")
