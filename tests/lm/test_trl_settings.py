"""Our configs in TRL's words: batches add up, what has no word is refused."""

from __future__ import annotations

import dataclasses

import pytest

from rlhf.lm.configs import DpoConfig, PolicyConfig, SftConfig
from rlhf.lm.jobs import BadJob
from rlhf.lm.trl_settings import for_rollouts, for_texts

CONFIG = PolicyConfig(prompts_per_step=4, completions_per_prompt=6, steps=10)


def test_a_step_of_ours_is_a_generation_of_theirs() -> None:
    given = for_rollouts(dataclasses.replace(CONFIG, epochs=3), tasks=100, processes=2, given={})
    assert given["per_device_train_batch_size"] * 2 * given["gradient_accumulation_steps"] == 24
    assert given["gradient_accumulation_steps"] == 1
    assert given["max_steps"] == 30 and given["num_iterations"] == 3 and given["save_steps"] == 3
    assert given["beta"] == 0.03 and given["epsilon"] == 0.2 and given["normalize_advantages"] is False


def test_fewer_tasks_than_prompts_make_a_smaller_step() -> None:
    given = for_rollouts(CONFIG, tasks=3, processes=1, given={})
    assert given["per_device_train_batch_size"] == 18


def test_what_a_process_takes_at_once_may_be_less() -> None:
    given = for_rollouts(
        CONFIG, tasks=9, processes=2, given={"per_device_train_batch_size": 4, "use_vllm": True}
    )
    assert given["gradient_accumulation_steps"] == 3 and given["use_vllm"] is True
    with pytest.raises(BadJob, match=r"24 .* cannot be shared by 2 processes that take 5 at once"):
        for_rollouts(CONFIG, tasks=9, processes=2, given={"per_device_train_batch_size": 5})
    with pytest.raises(BadJob, match=r"cannot be shared by 5 processes"):
        for_rollouts(CONFIG, tasks=9, processes=5, given={})


def test_dr_grpo_neither_scales_nor_divides_by_length() -> None:
    grpo = for_rollouts(dataclasses.replace(CONFIG, algorithm="grpo"), tasks=9, processes=1, given={})
    assert (grpo["loss_type"], grpo["scale_rewards"]) == ("grpo", "group")
    dr = for_rollouts(dataclasses.replace(CONFIG, algorithm="dr_grpo"), tasks=9, processes=1, given={})
    assert (dr["loss_type"], dr["scale_rewards"]) == ("dr_grpo", "none")


def test_what_trl_cannot_do_is_refused() -> None:
    with pytest.raises(BadJob, match="kl_budget could not be kept"):
        for_rollouts(dataclasses.replace(CONFIG, kl_coef=0.0), tasks=9, processes=1, given={})
    with pytest.raises(BadJob, match="not ppo"):
        for_rollouts(dataclasses.replace(CONFIG, algorithm="ppo"), tasks=9, processes=1, given={})
    with pytest.raises(BadJob, match=r"trl.max_steps follows"):
        for_rollouts(CONFIG, tasks=9, processes=1, given={"max_steps": 3})


def test_texts_make_as_many_updates_as_ours() -> None:
    # 20 tasks, 8 an update: three updates an epoch of 50 rows; 17 rows each, 18 for two processes.
    config = SftConfig(groups_per_step=8, epochs=2)
    given = for_texts(config, tasks=20, rows=50, processes=2, given={})
    assert given["per_device_train_batch_size"] == 9 and given["num_train_epochs"] == 2
    assert given["lr_scheduler_type"] == "constant_with_warmup"


def test_dpo_with_the_preferred_texts_likelihood() -> None:
    plain = for_texts(DpoConfig(loss="ipo", beta=0.2), tasks=4, rows=8, processes=1, given={})
    assert plain["loss_type"] == ["ipo"] and plain["beta"] == 0.2 and "loss_weights" not in plain
    both = for_texts(DpoConfig(sft_weight=0.5), tasks=4, rows=8, processes=1, given={})
    assert both["loss_type"] == ["sigmoid", "sft"] and both["loss_weights"] == [1.0, 0.5]
