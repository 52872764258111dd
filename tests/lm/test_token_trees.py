"""Packed sequences: their shape by hand, and the same hidden states as alone."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model

from rlhf.lm import token_trees
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.token_trees import TokenTree
from tests.tiny import make_tiny_model


@pytest.fixture
def lm(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny"))
    return load_causal(str(folder), folder.parent, torch.float32)


def test_a_tree_holds_common_beginnings_once() -> None:
    tree = TokenTree()
    assert tree.add([5, 6, 7]) == [0, 1, 2]
    assert tree.add([5, 6, 8]) == [0, 1, 3]
    assert tree.add([9], after=3) == [4]
    assert tree.ids == [5, 6, 7, 8, 9]
    assert tree.parents == [-1, 0, 1, 1, 3]
    assert tree.depths == [0, 1, 2, 2, 3]
    assert tree.sees()[4].tolist() == [True, True, False, True, True]
    assert tree.sees()[2].tolist() == [True, True, True, False, False]


def test_each_sequence_has_the_hidden_states_it_has_alone(lm: CausalLM) -> None:
    sequences = [[5, 6, 7, 8], [5, 6, 9], [5, 6, 9, 10, 11], [30, 31]]
    tree, short = TokenTree(), TokenTree()
    nodes = [tree.add(sequence) for sequence in sequences]
    short.add([40])
    layers = (1, -1)
    packed = token_trees.hidden_states(lm, [short, tree], layers=layers)
    for sequence, places in zip(sequences, nodes, strict=True):
        with torch.no_grad():
            alone = lm.model(torch.tensor([sequence]), output_hidden_states=True).hidden_states
        for layer, hidden in zip(layers, packed, strict=True):
            torch.testing.assert_close(hidden[1, places], alone[layer][0], atol=1e-5, rtol=1e-4)


def test_logprobs_are_those_of_the_models_own_logits(lm: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_trees, "LOGIT_ROWS", 2)  # three positions: two rounds
    with torch.no_grad():
        out = lm.model(torch.tensor([[5, 6, 7]]), output_hidden_states=True)
    found = token_trees.token_logprobs(lm, out.hidden_states[-1][0], rows=[2, 0, 2], tokens=[9, 6, 3])
    expected = out.logits[0].log_softmax(-1)
    torch.testing.assert_close(found, torch.stack([expected[2, 9], expected[0, 6], expected[2, 3]]))


def test_adapters_are_off(lm: CausalLM) -> None:
    tree = TokenTree()
    tree.add([5, 6, 7])
    (before,) = token_trees.hidden_states(lm, [tree])
    lm.model = get_peft_model(lm.model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    (after,) = token_trees.hidden_states(lm, [tree])
    torch.testing.assert_close(after, before)
    with torch.no_grad():
        adapted = lm.model(torch.tensor([[5, 6, 7]]), output_hidden_states=True).hidden_states[-1]
    assert not torch.allclose(adapted, before, atol=1e-3)


def test_batches_hold_alike_lengths_within_the_budget() -> None:
    trees = [TokenTree() for _ in range(4)]
    for tree, length in zip(trees, [5, 2, 9, 4], strict=True):
        tree.add(range(length))
    assert list(token_trees.batches(trees, tokens=10)) == [[1, 3], [0], [2]]  # 2·4 fit, 3·5 do not
    assert list(token_trees.batches(trees, tokens=3)) == [[1], [3], [0], [2]]  # a tree alone always goes
    assert list(token_trees.batches([], tokens=10)) == []
