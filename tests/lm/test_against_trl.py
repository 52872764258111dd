"""Losses, advantages and gradients beside TRL's own trainers, on a random two-layer model and the same texts.

TRL is asked for everything: it reads prompts and completions, computes log-probabilities of policy, old
policy and reference, advantages, loss. Only its sampling is replaced, so that both sides have the same texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig

from rlhf.lm import offline
from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import DpoConfig, PolicyConfig, PpoConfig
from rlhf.lm.dpo import Preference, preference_loss
from rlhf.lm.group_learner import GroupLearner
from rlhf.lm.ppo import PpoLearner
from rlhf.lm.rollouts import Rollout, read
from rlhf.lm.sft import likelihood_loss
from rlhf.lm.tensors import PackedGroup, pack_group
from tests.tiny import make_tiny_model

trl = pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")

PROMPTS = ["write the sentence", "sort each word in a list"]  # of different lengths, so that TRL pads
COMPLETIONS = [
    [" answer the question", " list", " write a friendly reply to the customer"],
    [" sort", " count each letter in order", " find the first word"],
]
REWARDS = [[1.0, 0.0, 2.5], [0.2, 0.7, -1.0]]
LIMIT = 40
BETA, CLIP = 0.3, 0.2
AS_PUBLISHED = {"use_bias_correction_kl": False}  # by default TRL multiplies the KL term by the ratio

Gradients = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def trainer_of(tiny: Path, folder: Path, name: str, rows: list[dict[str, Any]], **settings: Any) -> Any:
    """TRL's trainer of this name with new adapters on all linear layers, as ours have them."""
    lm = load_causal(str(tiny), tiny.parent, torch.float32)
    config = getattr(trl, f"{name}Config")(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", disable_tqdm=True,
        gradient_checkpointing=False, per_device_train_batch_size=len(rows), **settings,
    )  # fmt: skip
    more = {"reward_funcs": [rewards_given]} if name in ("RLOO", "GRPO") else {}
    trainer = getattr(trl, f"{name}Trainer")(
        model=lm.model,
        args=config,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=lm.tokenizer,
        peft_config=LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
        **more,
    )
    trainer.current_gradient_accumulation_steps = 1  # as within trainer.train()
    trainer.model.train()
    return trainer


def rewards_given(completions: list[str], reward: list[float], **_: Any) -> list[float]:
    return reward


def move(model: Any, *, seed: int, by: float) -> None:
    """Shift all adapters at random: a policy that is not the reference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += by * torch.randn(parameter.shape, generator=generator)


def gradients_of(model: Any, compute: Callable[[], None]) -> Gradients:
    """Of the adapters, after what `compute` adds to them."""
    model.zero_grad()
    compute()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def assert_equal(ours: Gradients, theirs: Gradients) -> None:
    assert len(ours) == len(theirs) == 28  # A and B of seven linear layers, twice
    for name, gradient in theirs.items():
        assert gradient.norm() > 1e-4, name
        apart = float((ours[name] - gradient).norm() / gradient.norm())
        assert apart < 1e-4, name  # float32: the two sides add up in different orders


# Policy gradients


def rollouts_of(tokenizer: Any, rewards: list[list[float]]) -> list[Rollout]:
    return [
        Rollout(
            pack_group(ids(tokenizer, prompt), [ended(tokenizer, text) for text in texts]),
            torch.tensor(row),
        )
        for prompt, texts, row in zip(PROMPTS, COMPLETIONS, rewards, strict=True)
    ]


def ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def ended(tokenizer: Any, text: str) -> list[int]:
    return [*ids(tokenizer, text), tokenizer.eos_token_id]


def policy_gradient_trainer(
    tiny: Path, folder: Path, name: str, rewards: list[list[float]], **settings: Any
) -> tuple[Any, dict[str, torch.Tensor]]:
    """A trainer whose adapters have moved, and what it makes of the completions at that point."""
    rows = [
        {"prompt": prompt, "reward": reward}
        for prompt, row in zip(PROMPTS, rewards, strict=True)
        for reward in row
    ]
    usual = {"num_generations": 3, "num_iterations": 2, "max_completion_length": LIMIT, "epsilon": CLIP}
    trainer = trainer_of(tiny, folder, name, rows, **usual | settings)
    tokenizer = trainer.processing_class
    written = [ended(tokenizer, text) for texts in COMPLETIONS for text in texts]
    trainer._generate_single_turn = lambda *_, **__: written if name == "RLOO" else (written, None)
    move(trainer.model, seed=1, by=0.05)
    return trainer, trainer._generate_and_score_completions(rows)


def theirs_of(trainer: Any, inputs: dict[str, torch.Tensor]) -> tuple[float, Gradients]:
    losses = []

    def compute() -> None:
        loss = trainer._compute_loss(trainer.model, inputs)
        loss.backward()
        losses.append(float(loss.detach()))

    gradients = gradients_of(trainer.model, compute)
    return losses[0], gradients


def group_loss(learner: GroupLearner, model: Any, rollouts: list[Rollout]) -> float:
    with torch.no_grad():
        losses = [
            learner.loss(rollout, chosen_of(model, rollout.packed, learner.config), before)
            for rollout, before in zip(rollouts, learner.before.values(), strict=True)
        ]
    return float(torch.stack(losses).sum()) / 6


def chosen_of(model: Any, packed: PackedGroup, config: PolicyConfig) -> torch.Tensor:
    return read(model, [packed], config.temperature, reference=False)[0][1].logprobs


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("beta", [0.0, BETA])
@pytest.mark.parametrize(
    ("algorithm", "name", "settings"),
    [
        ("rloo", "RLOO", {}),
        ("grpo", "GRPO", AS_PUBLISHED | {"loss_type": "grpo", "scale_rewards": "group"}),
        ("dr_grpo", "GRPO", AS_PUBLISHED | {"loss_type": "dr_grpo", "scale_rewards": "none"}),
    ],
)
def test_group_policy_gradients(
    tiny: Path,
    tmp_path: Path,
    algorithm: str,
    name: str,
    settings: dict[str, Any],
    beta: float,
    temperature: float,
) -> None:
    trainer, inputs = policy_gradient_trainer(
        tiny, tmp_path, name, REWARDS, beta=beta, temperature=temperature, **settings
    )
    model = trainer.model
    config = PolicyConfig(
        algorithm=algorithm, kl_coef=beta, clip_coef=CLIP, max_new_tokens=LIMIT, temperature=temperature
    )
    learner, rollouts = GroupLearner(config), rollouts_of(trainer.processing_class, REWARDS)
    with torch.no_grad():
        learner.learn(model, rollouts, epoch=0, completions=6)
    advantages = torch.cat([before.advantages for before in learner.before.values()])
    torch.testing.assert_close(advantages, inputs["advantages"], atol=1e-5, rtol=1e-4)

    # The policy goes on from where the completions were written: some ratios are clipped, some are not.
    move(model, seed=2, by=0.02)
    their_loss, their_gradients = theirs_of(trainer, inputs)
    assert group_loss(learner, model, rollouts) == pytest.approx(their_loss, rel=1e-4, abs=1e-6)

    def ours() -> None:
        learner.learn(model, rollouts, epoch=1, completions=6)

    assert_equal(gradients_of(model, ours), their_gradients)
    ratios = torch.cat(
        [
            (chosen_of(model, r.packed, config) - b.logprobs).detach().exp()
            for r, b in zip(rollouts, learner.before.values(), strict=True)
        ]
    )
    assert ((ratios - 1).abs() > CLIP).any() and ((ratios - 1).abs() < CLIP).any()


@pytest.mark.parametrize(
    ("algorithm", "name", "settings"),
    [("rloo", "RLOO", {}), ("grpo", "GRPO", AS_PUBLISHED | {"loss_type": "grpo"})],
)
def test_groups_of_equal_rewards_are_left_out_here_and_keep_their_kl_term_there(
    tiny: Path, tmp_path: Path, algorithm: str, name: str, settings: dict[str, Any]
) -> None:
    equal = [[0.5, 0.5, 0.5], REWARDS[1]]
    for beta in (0.0, BETA):
        trainer, inputs = policy_gradient_trainer(
            tiny, tmp_path / str(beta), name, equal, beta=beta, **settings
        )
        learner = GroupLearner(PolicyConfig(algorithm=algorithm, kl_coef=beta, max_new_tokens=LIMIT))
        rollouts = [r for r in rollouts_of(trainer.processing_class, equal) if r.useful]
        assert len(rollouts) == 1

        def ours(
            learner: GroupLearner = learner, model: Any = trainer.model, rollouts: list[Rollout] = rollouts
        ) -> None:
            learner.learn(model, rollouts, epoch=0, completions=6)

        found = gradients_of(trainer.model, ours)
        _, theirs = theirs_of(trainer, inputs)
        if beta == 0:
            assert_equal(found, theirs)
        else:
            assert any((found[n] - theirs[n]).abs().max() > 1e-4 for n in theirs)


def test_ppos_policy_loss_is_trls_token_mean_of_the_same_advantages(tiny: Path, tmp_path: Path) -> None:
    """TRL 1.16 has no PPO; its GRPO takes advantages of tokens, and "bnpo" is the mean over them."""
    assert not hasattr(trl, "PPOTrainer")
    trainer, inputs = policy_gradient_trainer(tiny, tmp_path, "GRPO", REWARDS, beta=0.0, loss_type="bnpo")
    model, rollouts = trainer.model, rollouts_of(trainer.processing_class, REWARDS)
    config = PpoConfig(kl_coef=BETA, clip_coef=CLIP, value_coef=0.0)
    learner = PpoLearner(config, width=32)
    torch.nn.init.normal_(learner.head.linear.weight, std=0.3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        learner.learn(model, rollouts, epoch=0, completions=6)
    mask = inputs["completion_mask"].bool()
    advantages = torch.zeros(mask.shape)
    advantages[mask] = torch.cat([before.advantages for before in learner.before])
    assert torch.cat([b.advantages for b in learner.before]).std() > 0.5  # they differ from token to token
    inputs["advantages"] = advantages
    move(model, seed=2, by=0.02)
    their_loss, their_gradients = theirs_of(trainer, inputs)
    with torch.no_grad():
        losses = [
            learner.loss(chosen_of(model, r.packed, config), before.values, before)
            for r, before in zip(rollouts, learner.before, strict=True)
        ]
    assert float(torch.stack(losses).sum()) / int(mask.sum()) == pytest.approx(their_loss, rel=1e-4)

    def ours() -> None:
        learner.learn(model, rollouts, epoch=1, completions=6)

    assert_equal(gradients_of(model, ours), their_gradients)


# From texts that are there already

PAIRS = [(0, 2), (1, 0)]  # of each prompt's completions, the better and the worse


def texts_learner(trainer: Any, loss: offline.Loss) -> tuple[Callable[[], None], list[float]]:
    """Adds our gradient of both groups' losses, with the reference as offline.py has it."""
    model, losses = trainer.model, []
    groups = [rollout.packed for rollout in rollouts_of(trainer.processing_class, REWARDS)]

    def compute() -> None:
        for number, packed in enumerate(groups):
            with torch.no_grad(), model.disable_adapter():
                ref = offline.text_logprobs(model, packed)
            lengths = torch.bincount(packed.owners)
            value, _ = loss(number, offline.text_logprobs(model, packed), ref, lengths)
            (value / len(groups)).backward()  # type: ignore[no-untyped-call]
            losses.append(float(value.detach()) / len(groups))

    return compute, losses


def dpo_trainer(tiny: Path, folder: Path, loss_type: str) -> tuple[Any, dict[str, torch.Tensor]]:
    rows = [
        {"prompt": prompt, "chosen": texts[first], "rejected": texts[second]}
        for prompt, texts, (first, second) in zip(PROMPTS, COMPLETIONS, PAIRS, strict=True)
    ]
    trainer = trainer_of(tiny, folder, "DPO", rows, loss_type=[loss_type], beta=BETA)
    move(trainer.model, seed=1, by=0.05)
    return trainer, trainer.data_collator(list(trainer.train_dataset))


def pair_loss(trainer: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    loss: torch.Tensor = trainer._compute_loss(trainer.model, dict(inputs), return_outputs=False)
    return loss


@pytest.mark.parametrize("loss_type", ["sigmoid", "ipo"])
@pytest.mark.parametrize("target", [1.0, 0.8])
def test_dpo_and_ipo_with_smoothed_labels(tiny: Path, tmp_path: Path, loss_type: str, target: float) -> None:
    """A soft target t is t times TRL's loss, and 1 - t times that of the pair turned round."""
    trainer, inputs = dpo_trainer(tiny, tmp_path, loss_type)
    turned = {name: torch.cat(list(reversed(both.chunk(2)))) for name, both in inputs.items()}
    config = DpoConfig(loss=loss_type, beta=BETA)
    losses = []

    def theirs() -> None:
        loss = target * pair_loss(trainer, inputs)
        if target < 1:
            loss = loss + (1 - target) * pair_loss(trainer, turned)
        loss.backward()
        losses.append(float(loss.detach()))

    their_gradients = gradients_of(trainer.model, theirs)
    ours, our_losses = texts_learner(
        trainer,
        lambda number, logprobs, ref, lengths: preference_loss(
            config, [Preference(*PAIRS[number], target, 1.0)], logprobs, ref, lengths
        ),
    )
    assert_equal(gradients_of(trainer.model, ours), their_gradients)
    assert sum(our_losses) == pytest.approx(losses[0], rel=1e-5)


def test_sft_on_the_texts_of_one_task(tiny: Path, tmp_path: Path) -> None:
    """Of one task's texts the mean over all tokens; of several tasks ours is the mean of these."""
    rows = [
        {"prompt": prompt, "completion": text}
        for prompt, texts in zip(PROMPTS, COMPLETIONS, strict=True)
        for text in texts
    ]
    trainer = trainer_of(tiny, tmp_path, "SFT", rows, max_length=None)
    move(trainer.model, seed=1, by=0.05)
    examples = list(trainer.train_dataset)
    losses = []

    def theirs() -> None:
        for start in (0, 3):
            batch = trainer.data_collator(examples[start : start + 3])
            loss = trainer.compute_loss(trainer.model, dict(batch)) / 2
            loss.backward()
            losses.append(float(loss.detach()))

    their_gradients = gradients_of(trainer.model, theirs)
    ours, our_losses = texts_learner(
        trainer,
        lambda number, logprobs, ref, lengths: (likelihood_loss(logprobs, lengths, [1 / 3] * 3), {}),
    )
    assert_equal(gradients_of(trainer.model, ours), their_gradients)
    assert our_losses == pytest.approx(losses, rel=1e-5)
