"""The commands that start runs: what they refuse, what they print, how they end."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from annotator.models import Project, Ranking
from rlhf import runs
from rlhf.models import Checkpoint, Generation, Run
from tests.factories import make_prompt

HELD_OUT = [{"input": "warm", "output": "cold"}, {"input": "up", "output": "down"}]


def call(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate", "nowhere"], "no project “nowhere”. There are: support"),
        (["generate", "support", "--k", "0"], "completions_per_task is 0"),
        (["generate", "support", "--top-p", "7"], "top_p is 7"),
        (["simulate_annotators", "support"], "no comparisons"),
        (["simulate_annotators", "support", "--rankings", "0"], "--rankings"),
        (["train_reward_model", "support"], "no rankings"),
        (["train_policy", "support"], "no reward model"),
        (["evaluate", "support"], "no trained policy"),
        (["evaluate", "support", "--new", "99"], "no checkpoint “99”"),
        (["promote", "99"], "no checkpoint “99”"),
    ],
)
def test_bad_requests_are_refused_and_leave_nothing(project: Project, words: list[str], message: str):
    make_prompt(project)
    with pytest.raises(CommandError, match=message):
        call(*words)
    assert not Run.objects.exists()


def test_an_empty_project_is_refused(project: Project):
    with pytest.raises(CommandError, match="no tasks yet"):
        call("generate", "support")


def test_a_checkpoint_of_the_wrong_kind_is_refused(project: Project):
    reward = Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="smollm2")
    with pytest.raises(CommandError, match="reward model"):
        call("promote", str(reward.pk))
    make_prompt(project)
    with pytest.raises(CommandError, match="reward model"):
        call("train_policy", "support", "--policy", "r")
    reward.refresh_from_db()
    assert reward.promoted_at is None


def test_a_name_that_two_checkpoints_have_is_refused(project: Project):
    for model in ("one", "two"):
        Checkpoint.objects.create(project=project, kind="policy", name="same", base_model=model)
    with pytest.raises(CommandError, match="give the number"):
        call("promote", "same")


def test_promoting_by_name(project: Project):
    policy = Checkpoint.objects.create(project=project, kind="policy", name="new", base_model="smollm2")
    assert "now writes" in call("promote", "new")
    assert runs.promoted_policy(project) == policy


def test_a_detached_run_waits_for_a_worker(tiny_project: Project):
    make_prompt(tiny_project)
    assert "waiting for a worker" in call("generate", "support", "--detach")
    assert Run.objects.get().state == "queued"


def test_nobody_waits_for_ever_for_a_worker(tiny_project: Project):
    make_prompt(tiny_project)
    with pytest.raises(CommandError, match="No model worker took"):
        call("generate", "support", "--patience", "0.2")
    assert Run.objects.get().state == "cancelled"


def test_it_works_without_a_worker_too(tiny_project: Project):
    for number in range(3):
        make_prompt(tiny_project, f"Task {number}", held_out_examples=HELD_OUT)
    assert "completions written by tiny" in call("generate", "support", "--here", "--seed", "5")
    assert Generation.objects.count() >= 6
    assert "rankings by 3 simulated annotators" in call(
        "simulate_annotators", "support", "--here", "--annotators", "3", "--rankings", "9", "--noise", "0"
    )
    assert Ranking.objects.filter(is_simulated=True).count() == 9


def test_a_run_that_fails_fails_the_command_with_its_reason(tiny_project: Project, settings):
    make_prompt(tiny_project)
    settings.MODEL = "no-such-model"
    with pytest.raises(CommandError, match="unknown model 'no-such-model'"):
        call("generate", "support", "--here")
