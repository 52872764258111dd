"""Padding and packing: nothing about a score depends on them."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, FalconConfig, Gemma3TextConfig, GPT2Config, PretrainedConfig

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.tensors import (
    completion_logits,
    completion_states,
    pack_group,
    pad_left,
    sum_by_owner,
    token_logprobs,
)
from tests.tiny import make_tiny_model

PROMPT = [5, 6, 7, 8]
COMPLETIONS = [[9, 10, 11], [9, 12], [13], [9, 10, 14, 15]]  # two begin alike


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    return load_causal(str(folder), folder.parent, torch.float32)


def alone(lm: CausalLM, completion: list[int]) -> torch.Tensor:
    """Logits at a completion's tokens in a row of its own. Shape: (len(completion), V)."""
    return lm.model(torch.tensor([PROMPT + completion])).logits[0, len(PROMPT) - 1 : -1]


def test_padding_is_on_the_left() -> None:
    ids, mask = pad_left([[5], [6, 7, 8]], 0)
    assert ids.tolist() == [[0, 0, 5], [6, 7, 8]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]


def test_a_packed_group_by_hand() -> None:
    group = pack_group([5, 6], [[7, 8], [7, 9, 3], [4]])
    # 5 6 | 7 (shared by the first two) | 9; the last token of a completion predicts nothing
    assert group.ids.tolist() == [5, 6, 7, 9]
    assert group.positions.tolist() == [0, 1, 2, 3]
    assert group.nodes.tolist() == [1, 2, 1, 2, 3, 1]
    assert group.targets.tolist() == [7, 8, 7, 9, 3, 4]
    assert group.owners.tolist() == [0, 0, 1, 1, 1, 2]
    assert group.completions == 3
    assert group.sees[3].tolist() == [True, True, True, True]
    assert group.sees[2].tolist() == [True, True, True, False]


def test_packed_logits_are_those_of_single_rows(lm: CausalLM) -> None:
    packed = completion_logits(lm.model, pack_group(PROMPT, COMPLETIONS))
    torch.testing.assert_close(
        packed, torch.cat([alone(lm, completion) for completion in COMPLETIONS]), atol=1e-4, rtol=1e-4
    )


def test_packed_gradients_are_those_of_single_rows(lm: CausalLM) -> None:
    group = pack_group(PROMPT, COMPLETIONS)
    weight = lm.model.model.layers[0].self_attn.k_proj.weight
    packed = token_logprobs(completion_logits(lm.model, group), group.targets).sum()
    (found,) = torch.autograd.grad(packed, weight)
    single = sum(token_logprobs(alone(lm, c), torch.tensor(c)).sum() for c in COMPLETIONS)
    (expected,) = torch.autograd.grad(single, weight)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_logprobs_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.9], [0.5, 0.5], [0.25, 0.75]]))
    found = token_logprobs(logits, torch.tensor([1, 0, 0]))
    assert found.exp().tolist() == pytest.approx([0.9, 0.5, 0.25])


def test_sums_by_completion() -> None:
    group = pack_group([5], [[6, 7], [8]])
    assert sum_by_owner(torch.tensor([1.0, 2.0, 4.0]), group).tolist() == [3.0, 4.0]


SMALL = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1),
        Gemma3TextConfig(**SMALL, intermediate_size=16, num_key_value_heads=1, head_dim=8, sliding_window=64),
        FalconConfig(**SMALL, bos_token_id=1, eos_token_id=1),  # knows nothing of exchangeable attention
    ],
    ids=["gpt2", "gemma3", "falcon"],
)
def test_two_groups_in_a_row_give_the_states_of_rows_alone(config: PretrainedConfig) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    groups = [(PROMPT, COMPLETIONS), ([3, 2], [[1, 4], [1]])]
    with torch.no_grad():
        found = completion_states(model, *(pack_group(prompt, texts) for prompt, texts in groups))
        wanted = [
            model.get_decoder()(torch.tensor([prompt + text])).last_hidden_state[0, len(prompt) - 1 : -1]
            for prompt, texts in groups
            for text in texts
        ]
    torch.testing.assert_close(found, torch.cat(wanted))
