"""Figures of tokens: those of whole rows of logits, made a few at a time, with the gradient of autograd."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rlhf.lm import token_policy
from rlhf.lm.token_policy import token_figures


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_figures_and_gradient_are_those_of_whole_rows(
    monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    monkeypatch.setattr(token_policy, "LEAST_WORDS", 4)  # so that eleven words are three parts
    monkeypatch.setattr(token_policy, "HELD", 4)
    torch.manual_seed(0)
    head = nn.Linear(5, 11, bias=False)
    hidden, ref_hidden = torch.randn(7, 5, requires_grad=True), torch.randn(7, 5)
    targets, weights = torch.randint(11, (7,)), torch.randn(7)

    found = token_figures(hidden, ref_hidden, targets, head, temperature=temperature)
    (gradient,) = torch.autograd.grad((found.logprobs * weights).sum(), hidden)

    policy = torch.distributions.Categorical(logits=head(hidden) / temperature)
    reference = torch.distributions.Categorical(logits=head(ref_hidden) / temperature)
    (expected,) = torch.autograd.grad((policy.log_prob(targets) * weights).sum(), hidden)
    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(found.logprobs, policy.log_prob(targets))
    torch.testing.assert_close(found.ref_logprobs, reference.log_prob(targets))
    torch.testing.assert_close(found.entropy, policy.entropy())
    torch.testing.assert_close(found.kl, torch.distributions.kl_divergence(policy, reference))
    assert not found.kl.requires_grad and not found.entropy.requires_grad


def test_figures_by_hand() -> None:
    head = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0], [1.0]]))
    three = torch.log(torch.tensor([[3.0]]))  # logits 0 and log 3: probabilities 1/4 and 3/4
    found = token_figures(three, torch.zeros(1, 1), torch.tensor([1]), head, temperature=1.0)
    assert found.logprobs.exp().tolist() == pytest.approx([0.75])
    assert found.ref_logprobs.exp().tolist() == pytest.approx([0.5])
    # 1/4 log(1/2) + 3/4 log(3/2) and 1/4 log 4 + 3/4 log(4/3)
    assert found.kl.tolist() == pytest.approx([0.130812], abs=1e-6)
    assert found.entropy.tolist() == pytest.approx([0.562335], abs=1e-6)


def test_without_a_reference_the_policy_is_its_own() -> None:
    torch.manual_seed(0)
    head, hidden, targets = nn.Linear(5, 11, bias=False), torch.randn(4, 5), torch.randint(11, (4,))
    alone = token_figures(hidden, None, targets, head, temperature=1.0)
    beside = token_figures(hidden, torch.randn(4, 5), targets, head, temperature=1.0)
    torch.testing.assert_close(alone.logprobs, beside.logprobs)
    torch.testing.assert_close(alone.ref_logprobs, alone.logprobs)
    assert alone.kl.tolist() == [0.0] * 4
