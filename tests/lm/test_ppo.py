"""PPO: rewards of tokens, advantages and losses worked out by hand; what its value head learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import add_lora
from rlhf.lm.configs import PolicyConfig, PpoConfig
from rlhf.lm.data import Example, Task
from rlhf.lm.policy_gradient import identity, train
from rlhf.lm.ppo import (
    Before,
    PpoLearner,
    generalised_advantages,
    token_rewards,
    value_figures,
    value_loss,
    whitened,
)
from rlhf.lm.rollouts import Rollout
from rlhf.lm.tensors import pack_group
from rlhf.lm.training_state import load_state, under_prefix
from tests.tiny import make_tiny_model

PACKED = pack_group([5], [[6, 7], [8]])  # two tokens of the first completion, one of the second
CONFIG = PpoConfig(
    steps=3, prompts_per_step=2, completions_per_prompt=4, max_new_tokens=8, learning_rate=1e-2,
    sample_tasks=2, kl_budget=100.0, entropy_floor=0.0, repetition=1.0,
)  # fmt: skip
TASKS = [
    Task(id=str(i), text=f"Sort list {i}", examples=(Example(f"b a {i}", f"a b {i}"),)) for i in range(5)
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def load(tiny: Path) -> CausalLM:
    return load_causal(str(tiny), tiny.parent, torch.float32)


def learner_of(model: torch.nn.Module, **settings: object) -> PpoLearner:
    config = dataclasses.replace(CONFIG, **settings)  # type: ignore[arg-type]
    return PpoLearner(config, width=model.config.hidden_size)  # type: ignore[union-attr]


def test_the_reward_is_on_the_last_token_and_kl_is_paid_on_each() -> None:
    found = token_rewards(
        torch.tensor([2.0, -1.0]),
        *(torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-3.0, -1.5, -3.0]), PACKED),
        kl_coef=0.1,
    )
    # log π/π_ref is 2, -0.5, 0; the rewards come on the second token and on the third.
    assert found.tolist() == pytest.approx([-0.2, 0.05 + 2, -1])
    free = token_rewards(torch.tensor([2.0, -1.0]), torch.ones(3), torch.zeros(3), PACKED, kl_coef=0.0)
    assert free.tolist() == [0, 2, -1]


def test_advantages_by_hand() -> None:
    rewards, values = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 1.0, 4.0])
    # Last tokens: 2 - 1 = 1, and 3 - 4 = -1. First token: δ = 1 + γ·1 - 0.5, A = δ + γλ·1.
    found = generalised_advantages(rewards, values, PACKED, gamma=1.0, gae_lambda=0.95)
    assert found.tolist() == pytest.approx([1.5 + 0.95, 1.0, -1.0])
    found = generalised_advantages(rewards, values, PACKED, gamma=0.5, gae_lambda=0.5)
    assert found.tolist() == pytest.approx([1.0 + 0.25, 1.0, -1.0])


def test_with_lambda_1_an_advantage_is_the_outcome_less_the_value_and_with_0_one_step() -> None:
    packed = pack_group([5], [[6, 7, 8]])
    rewards, values = torch.tensor([1.0, -2.0, 5.0]), torch.tensor([0.5, 3.0, -1.0])
    outcome = generalised_advantages(rewards, values, packed, gamma=1.0, gae_lambda=1.0)
    assert outcome.tolist() == pytest.approx([4 - 0.5, 3 - 3, 5 + 1])
    one_step = generalised_advantages(rewards, values, packed, gamma=1.0, gae_lambda=0.0)
    assert one_step.tolist() == pytest.approx([1 + 3 - 0.5, -2 - 1 - 3, 5 + 1])


def test_advantages_are_whitened_over_the_whole_batch() -> None:
    nothing = torch.zeros(2)
    batch = [
        Before(nothing, nothing, torch.tensor(some), nothing) for some in ([1.0, 5.0], [3.0], [3.0, 3.0])
    ]
    # Mean 3, squared deviations 4, 4, 0, 0, 0: variance 8/5.
    lead = 2 / 1.6**0.5
    found = torch.cat([before.advantages for before in whitened(batch)])
    assert found.tolist() == pytest.approx([-lead, lead, 0, 0, 0])
    assert whitened(batch[1:2])[0].advantages.tolist() == [0.0]


def test_a_value_that_has_gone_far_enough_towards_its_return_stops() -> None:
    values = torch.tensor([0.1, 1.0, -1.0, 3.0], requires_grad=True)
    losses = value_loss(values, torch.tensor([0.0, 0.0, 0.0, 2.5]), torch.tensor([2.0, 2.0, 2.0, 2.0]), 0.2)
    # Within the clip; beyond it, held at 0.2; the wrong way, its own error; 2.5 + 0.2 is nearer than 3.
    assert losses.tolist() == pytest.approx([1.9**2 / 2, 1.8**2 / 2, 3**2 / 2, 1 / 2])
    losses.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx([-1.9, 0.0, -3.0, 1.0])


def test_the_loss_is_the_clipped_one_and_the_values_by_its_weight() -> None:
    learner = PpoLearner(dataclasses.replace(CONFIG, value_coef=0.5), width=4)
    before = Before(torch.zeros(2), torch.zeros(2), torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.1]))
    loss = learner.loss(torch.tensor([1.5, 1.5]).log(), torch.tensor([0.1, 0.1]), before)
    # -min(1.5, 1.2) and 2 · 1.5; half of 2.9² and of 0, by a half.
    assert loss.item() == pytest.approx(-1.2 + 3.0 + 0.5 * 2.9**2 / 2)


def test_what_the_values_explain() -> None:
    returns = torch.tensor([1.0, 3.0])  # variance 1
    assert value_figures(returns, returns) == {"value_loss": 0.0, "explained_variance": 1.0}
    assert value_figures(torch.zeros(2), returns) == {"value_loss": 2.5, "explained_variance": 0.0}
    nearly = value_figures(torch.tensor([1.0, 2.0]), returns)  # errors 0 and 1: variance 1/4
    assert nearly == {"value_loss": 0.25, "explained_variance": 0.75}
    assert value_figures(torch.zeros(2), torch.ones(2))["explained_variance"] == 0.0


def test_the_gradient_is_that_of_reinforce_on_tokens(tiny: Path) -> None:
    prompt, completions = [5, 6, 7], [[8, 9, 10], [8, 11], [12]]
    rewards = [1.0, 0.0, 2.0]
    model = add_lora(load(tiny).model, lora_r=2, lora_alpha=4, seed=0)
    learner = learner_of(model, whiten=False, gae_lambda=1.0, kl_coef=0.0)
    rollout = Rollout(pack_group(prompt, completions), torch.tensor(rewards))
    learner.learn(model, [rollout], epoch=0, completions=3)
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for completion, reward in zip(completions, rewards, strict=True):  # V is 0 still
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        logprob = logits.log_softmax(-1)[range(len(completion)), completion].sum()
        (-reward * logprob / 6).backward()  # of six tokens
    assert found
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("shared", [False, True])
def test_the_value_loss_moves_the_adapters_only_where_the_trunk_is_shared(tiny: Path, shared: bool) -> None:
    model = add_lora(load(tiny).model, lora_r=2, lora_alpha=4, seed=0)
    rollout = Rollout(pack_group([5, 6, 7], [[8, 9, 10], [8, 11]]), torch.tensor([1.0, 0.0]))

    def gradients(value_coef: float) -> tuple[list[torch.Tensor], torch.Tensor]:
        learner = learner_of(model, shared_trunk=shared, value_coef=value_coef)
        torch.nn.init.constant_(learner.head.linear.weight, 0.1)
        model.zero_grad()
        learner.learn(model, [rollout], epoch=0, completions=2)
        grad = learner.head.linear.weight.grad
        assert grad is not None
        return [p.grad.clone() for p in model.parameters() if p.grad is not None], grad

    (little, head_little), (much, head_much) = gradients(1.0), gradients(3.0)
    torch.testing.assert_close(head_much, 3 * head_little)
    assert head_little.abs().max() > 0
    assert all(torch.equal(a, b) for a, b in zip(little, much, strict=True)) is not shared


def test_the_value_head_learns_what_completions_are_worth(tiny: Path) -> None:
    model = add_lora(load(tiny).model, lora_r=2, lora_alpha=4, seed=0)
    learner = learner_of(model, value_clip=10.0, gae_lambda=1.0)
    rollouts = [
        Rollout(pack_group([5, 6, 7], [[8, 9, 10], [11]]), torch.tensor([4.0, 5.0])),
        Rollout(pack_group([7, 5], [[8, 9], [10]]), torch.tensor([-1.0, 0.0])),
    ]
    optimizer = torch.optim.Adam(learner.head.parameters(), lr=0.05)
    found = []
    for _ in range(60):
        learner.learn(model, rollouts, epoch=0, completions=4)
        found.append(learner.figures())
        optimizer.step()
        optimizer.zero_grad()
    # Four tokens return 4, 4, 4, 5, three -1, -1, 0: squares of 16 * 3 + 25 + 2.
    assert found[0]["value_loss"] == pytest.approx((16 * 3 + 25 + 2) / 7 / 2)
    assert found[0]["explained_variance"] == pytest.approx(0.0, abs=1e-6)
    # Both first tokens of a prompt are one state, whose best value is the mean of two returns.
    assert found[-1]["explained_variance"] > 0.9


def test_equal_rewards_teach_the_value_head_nothing_either(tiny: Path, tmp_path: Path) -> None:
    def equal(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(items)), np.zeros(len(items))

    records = list(train(CONFIG, policy=load(tiny), tasks=TASKS, score=equal, folder=tmp_path))
    assert all(record.values["useful"] == 0 for record in records)
    assert "value_loss" not in records[-1].values
    state = load_state(tmp_path, identity=identity(CONFIG, load(tiny), TASKS))
    assert state is not None
    head = under_prefix("learner", state.tensors)
    assert head.keys() == {"linear.weight", "linear.bias"}
    assert all(float(tensor.abs().sum()) == 0 for tensor in head.values())


def test_a_group_of_equal_rewards_beside_others_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    """Whatever its rewards are: it is in neither the whitening nor the means."""

    def scored(equal: float) -> list[dict[str, float]]:
        def score(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
            means = [equal if task.id == "0" else len(text) / 10 for task, text in items]
            return np.array(means), np.zeros(len(items))

        folder = tmp_path / str(equal)
        records = list(train(CONFIG, policy=load(tiny), tasks=TASKS[:2], score=score, folder=folder))
        names = ("useful", "kl", "grad_norm", "value_loss")
        return [{name: record.values[name] for name in names} for record in records]

    low = scored(-5.0)
    assert low == scored(7.0)
    assert [values["useful"] for values in low] == [0.5] * 4
    assert low[1]["kl"] > 0


def test_an_epoch_too_far_is_clipped(tiny: Path, tmp_path: Path) -> None:
    def count(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([float(text.count("list")) for _, text in items]), np.zeros(len(items))

    config = dataclasses.replace(CONFIG, learning_rate=0.05, epochs=4, prompts_per_step=5)
    records = list(train(config, policy=load(tiny), tasks=TASKS, score=count, folder=tmp_path))
    assert max(record.values.get("clip_fraction", 0.0) for record in records) > 0


def test_a_config_of_another_algorithm_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a PolicyConfig is not what ppo is told"):
        next(
            train(
                PolicyConfig(algorithm="ppo"),
                policy=load(tiny), tasks=TASKS, score=lambda items: (np.ones(1), np.ones(1)), folder=tmp_path,
            )
        )  # fmt: skip
