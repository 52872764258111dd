"""Drawing tokens: as often as they are likely, within a nucleus, and none that cannot be."""

from __future__ import annotations

import math

import pytest
import torch

from rlhf.lm import drawing
from rlhf.lm.drawing import draw


def pairs(first: list[float], second: float = 0.0) -> torch.Tensor:
    """Uniforms of which the first differ from row to row. Shape: (B, 2)."""
    return torch.tensor([[value, second] for value in first])


def test_a_draw_inverts_the_cumulative_distribution() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]])).repeat(6, 1)
    tokens, logprobs = draw(logits, pairs([0.0, 0.49, 0.51, 0.69, 0.71, 0.999]), 1.0, 1.0)
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.2, 0.2, 0.3, 0.3])


def test_a_draw_finds_its_place_in_every_block() -> None:
    # 1,000 equally likely tokens lie in four blocks, the last of which is not full
    uniforms = (torch.arange(1000) + 0.5) / 1000
    tokens, logprobs = draw(torch.zeros(1000, 1000), torch.stack([uniforms, uniforms], -1), 1.0, 1.0)
    assert tokens.tolist() == list(range(1000))
    assert logprobs.tolist() == pytest.approx([-math.log(1000)] * 1000, rel=1e-5)


def test_top_p_keeps_the_likeliest_that_reach_it() -> None:
    # 0.5 and 0.3 reach 0.75 together, so token 1 lies outside: who draws it (from 0.5 to 0.7) draws again, by
    # the second uniform, from tokens 0 and 2, of whose sum 0.8 the first has 5/8 = 0.625
    logits = torch.log(torch.tensor([[0.5, 0.2, 0.3]])).repeat(5, 1)
    uniforms = torch.tensor([[0.0, 0.9], [0.49, 0.9], [0.6, 0.62], [0.6, 0.63], [0.71, 0.0]])
    tokens, logprobs = draw(logits, uniforms, 1.0, 0.75)
    assert tokens.tolist() == [0, 0, 0, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.5, 0.3, 0.3])  # of the model, not the cut


def test_tokens_of_a_nucleus_are_as_frequent_as_they_are_likely_in_it() -> None:
    probabilities = torch.tensor([0.05, 0.30, 0.08, 0.18, 0.15, 0.03, 0.11, 0.10])
    sharp = probabilities ** (1 / 0.8) / (probabilities ** (1 / 0.8)).sum()
    order = sharp.argsort(descending=True)
    kept = order[: int((sharp[order].cumsum(0) < 0.8).sum()) + 1]
    expected = torch.zeros(8).index_copy(0, kept, sharp[kept] / sharp[kept].sum())
    uniforms = torch.rand((40_000, 2), generator=torch.Generator().manual_seed(0))
    tokens, _ = draw(probabilities.log().repeat(40_000, 1), uniforms, 0.8, 0.8)
    found = torch.bincount(tokens, minlength=8) / 40_000
    spread = (expected * (1 - expected) / 40_000).sqrt()
    assert 1 < len(kept) < 8
    assert ((found - expected).abs() <= 4 * spread).all()


def test_top_p_of_a_flat_row_looks_beyond_the_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "TOP_P_CANDIDATES", 2)
    logits = torch.log(torch.tensor([[0.2, 0.22, 0.28, 0.3]])).repeat(3, 1)
    # 0.3 + 0.28 + 0.22 = 0.8 reach 0.75; token 0 is drawn again: 0.3 / 0.8 = 0.375, 0.58 / 0.8 = 0.725
    tokens, _ = draw(logits, torch.tensor([[0.1, 0.37], [0.1, 0.38], [0.1, 0.73]]), 1.0, 0.75)
    assert tokens.tolist() == [3, 2, 1]


def test_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    logits = torch.log(torch.tensor([[0.4, 0.6]]))
    # squared: 0.16 and 0.36, so the first has 4/13 = 0.308
    assert draw(logits, pairs([0.30]), 0.5, 1.0)[0].tolist() == [0]
    assert draw(logits, pairs([0.32]), 0.5, 1.0)[0].tolist() == [1]
    tokens, logprobs = draw(logits, pairs([0.0]), 0.0, 1.0)
    assert tokens.tolist() == [1]
    assert logprobs.exp().tolist() == pytest.approx([0.6])


def test_it_never_draws_a_token_of_no_probability() -> None:
    logits = torch.full((2, 600), float("-inf"))
    logits[:, 300] = 0.0  # the only one, in the second of three blocks
    tokens, _ = draw(logits, pairs([0.0, 0.99999994]), 1.0, 1.0)
    assert tokens.tolist() == [300, 300]
