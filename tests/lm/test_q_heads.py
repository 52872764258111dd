"""Q heads in a model's output layer: β = 0 to the bit; sampling and KL follow Q; saved and loaded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import (
    BadCheckpoint,
    adapter_tensors,
    add_lora,
    load_policy,
    read_manifest,
    save_policy,
    save_q_policy,
)
from rlhf.lm.configs import EvaluationConfig, SamplingConfig
from rlhf.lm.data import Task
from rlhf.lm.evaluation import completion_logprobs, divergence
from rlhf.lm.prompting import generator_ids
from rlhf.lm.q_heads import QHeads, perturb, refuse_q_heads, restore, standardise
from rlhf.lm.sampling import sample
from tests.tiny import make_tiny_model

IDS = torch.tensor([[5, 6, 7, 8]])
TASKS = [Task(id=str(i), text=f"Sort list {i}") for i in range(3)]


@pytest.fixture
def lm(tmp_path: Path) -> CausalLM:
    return load_causal(str(make_tiny_model(tmp_path / "model")), tmp_path, torch.float32)


def random_heads(lm: CausalLM, seed: int = 3) -> QHeads:
    heads = QHeads(lm.model.get_output_embeddings().weight, width=16, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    return heads.requires_grad_(False)


def logits_of(lm: CausalLM) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = lm.model(IDS).logits
    return logits


def written(lm: CausalLM, temperature: float = 1.0) -> list[tuple[int, ...]]:
    config = SamplingConfig(completions_per_task=4, temperature=temperature, top_p=1.0, max_new_tokens=10)
    return [completion.token_ids for group in sample(lm, TASKS, config) for completion in group]


def test_new_heads_say_nothing(lm: CausalLM) -> None:
    heads = QHeads(lm.model.get_output_embeddings().weight, width=16, seed=0)
    states = torch.randn(5, 32)
    assert heads.advantage(states, lm.model.get_output_embeddings().weight).abs().max() == 0
    first, second = heads.q
    assert not torch.equal(first.network[0].weight, second.network[0].weight)


def test_a_value_by_hand() -> None:
    # Rows (3, 0), (-1, 0), (1, 0): their mean is (1, 0), what is left 2, -2, 0 long, 4/3 in the mean.
    embedding = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    heads = QHeads(embedding, width=4, seed=0)
    made = torch.tensor([[2.0, 7.0, 0.5]])  # m = (2, 7), b = 0.5
    assert heads.of_all(made, embedding)[0].tolist() == pytest.approx([3.5, -2.5, 0.5])
    assert heads.of_actions(made, embedding[[1]]).tolist() == pytest.approx([-2.5])


def test_the_lesser_of_the_slow_twins_counts(lm: CausalLM) -> None:
    heads = random_heads(lm)
    embedding, states = lm.model.get_output_embeddings().weight, torch.randn(5, 32)
    inputs = standardise(states)
    twins = [heads.of_all(head(inputs), embedding) for head in heads.slow]
    lesser = torch.where(twins[0] < twins[1], *twins)
    assert 0.1 < (twins[0] < twins[1]).float().mean() < 0.9
    expected = lesser - heads.value(inputs)[:, None]
    torch.testing.assert_close(heads.advantage(states, embedding), expected)


def test_slow_copies_follow(lm: CausalLM) -> None:
    heads = random_heads(lm)
    slow, quick = (part[0].network[0].bias[0].item() for part in (heads.slow, heads.q))
    heads.follow(0.25)
    assert heads.slow[0].network[0].bias[0].item() == pytest.approx(0.75 * slow + 0.25 * quick)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_with_beta_zero_the_same_tokens_are_drawn(lm: CausalLM, temperature: float) -> None:
    logits, tokens = logits_of(lm), written(lm, temperature)
    output = perturb(lm.model, random_heads(lm), 0.0)
    assert torch.equal(logits_of(lm), logits)
    assert written(lm, temperature) == tokens
    output.beta = 4.0
    assert written(lm, temperature) != tokens
    restore(lm.model)
    assert written(lm, temperature) == tokens


def test_logits_are_shifted_by_beta_times_the_advantage(lm: CausalLM) -> None:
    heads, before = random_heads(lm), logits_of(lm)
    embedding = lm.model.get_output_embeddings().weight
    with torch.no_grad():
        states = lm.model.get_decoder()(IDS).last_hidden_state[0]
    perturb(lm.model, heads, 2.0)
    expected = before[0] + 2 * heads.advantage(states, embedding)
    torch.testing.assert_close(logits_of(lm)[0], expected)


def test_what_is_sampled_is_what_the_perturbed_probabilities_say(lm: CausalLM) -> None:
    perturb(lm.model, random_heads(lm), 2.0)
    config = SamplingConfig(completions_per_task=3, temperature=1.0, top_p=1.0, max_new_tokens=8)
    drawn = [completion for group in sample(lm, TASKS, config) for completion in group]
    by_id = {task.id: task for task in TASKS}
    found = completion_logprobs(lm, [(by_id[c.task_id], c.token_ids) for c in drawn])
    assert found == pytest.approx([c.logprob for c in drawn], abs=1e-3)


def test_the_divergence_is_that_of_the_perturbed_distribution(lm: CausalLM) -> None:
    """One token, so that the expectation over all texts can be added up."""
    heads = random_heads(lm)
    config = EvaluationConfig(max_new_tokens=1)
    many = [dataclasses.replace(TASKS[0], id=str(i)) for i in range(300)]
    old = dataclasses.replace(lm, model=load_causal(lm.name, Path(lm.name).parent, torch.float32).model)
    perturb(lm.model, heads, 1.0)
    ids = torch.tensor([generator_ids(lm.tokenizer, TASKS[0])])
    with torch.no_grad():
        p, q = (model.model(ids).logits[0, -1].log_softmax(-1) for model in (lm, old))
    exact = float((p.exp() * (p - q)).sum())
    spread = float((p.exp() * (p - q - exact).square()).sum().sqrt())
    assert exact > 0.05
    assert divergence(lm, old, many, config) == pytest.approx(exact, abs=4 * spread / 600**0.5)


def test_saved_and_loaded_the_logits_are_the_same(lm: CausalLM, tmp_path: Path) -> None:
    heads = random_heads(lm)
    save_q_policy(tmp_path / "q", lm, heads, 1.5, config={"steps": 1}, seed=0)
    loaded = load_policy(tmp_path / "q", tmp_path, torch.float32)
    assert loaded.weights_hash != lm.weights_hash
    perturb(lm.model, heads, 1.5)
    assert torch.equal(logits_of(loaded), logits_of(lm))
    manifest = read_manifest(tmp_path / "q", kind="policy")
    assert (manifest["base"], manifest["weights_hash"]) == (lm.name, lm.weights_hash)
    assert (manifest["adapters"], manifest["q_heads"]["beta"]) == ([], 1.5)


def test_heads_on_top_of_adapters_keep_the_chain(lm: CausalLM, tmp_path: Path) -> None:
    model = add_lora(lm.model, lora_r=2, lora_alpha=4, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(generator=torch.Generator().manual_seed(1)).div_(4)
    save_policy(tmp_path / "a", lm, lora=model.peft_config["default"], tensors=adapter_tensors(model))
    tuned = load_policy(tmp_path / "a", tmp_path, torch.float32)
    heads = random_heads(tuned)
    save_q_policy(tmp_path / "q", tuned, heads, 2.0)
    loaded = load_policy(tmp_path / "q", tmp_path, torch.float32)
    perturb(tuned.model, heads, 2.0)
    torch.testing.assert_close(logits_of(loaded), logits_of(tuned))
    assert len({lm.weights_hash for lm in (lm, tuned, loaded)}) == 3


def test_what_is_damaged_or_of_another_base_is_refused(lm: CausalLM, tmp_path: Path) -> None:
    save_q_policy(tmp_path / "q", lm, random_heads(lm), 1.0)
    manifest = json.loads((tmp_path / "q/manifest.json").read_text())
    other = {**manifest, "weights_hash": "0" * 64}
    (tmp_path / "q/manifest.json").write_text(json.dumps(other))
    with pytest.raises(BadCheckpoint, match="another"):
        load_policy(tmp_path / "q", tmp_path, torch.float32)
    (tmp_path / "q/manifest.json").write_text(json.dumps(manifest))
    save_q_policy(tmp_path / "p", lm, random_heads(lm, seed=4), 1.0)
    (tmp_path / "p/q_heads.safetensors").rename(tmp_path / "q/q_heads.safetensors")
    with pytest.raises(BadCheckpoint, match="not those of its manifest"):
        load_policy(tmp_path / "q", tmp_path, torch.float32)
    (tmp_path / "q/q_heads.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match="missing"):
        load_policy(tmp_path / "q", tmp_path, torch.float32)


def test_nothing_can_be_trained_or_merged_on_top(lm: CausalLM, tmp_path: Path) -> None:
    save_q_policy(tmp_path / "q", lm, random_heads(lm), 1.0)
    loaded = load_policy(tmp_path / "q", tmp_path, torch.float32)
    with pytest.raises(ValueError, match="merge the policy that it was made of"):
        refuse_q_heads(loaded, "merge")
    with pytest.raises(ValueError, match="decodes by Q heads"):
        save_q_policy(tmp_path / "r", loaded, random_heads(lm), 1.0)
    refuse_q_heads(lm, "merge")
