"""What a policy gradient needs to know of each token: its log-probability, KL to the reference, entropy.

The logits of N tokens over 49,000 words are hundreds of megabytes, which a dozen passes fetch from memory.
So a few rows at a time are made from the hidden states, and none are kept: the gradient of log π(target) in
a hidden state, (W[target] - Σ_v π(v) W[v]) / temperature, is put together on the way there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

ROWS = 64  # positions whose logits over the whole vocabulary are held at once


@dataclass(frozen=True)
class TokenFigures:
    """Of N sampled tokens, (N,) each. Only `logprobs` has a gradient."""

    logprobs: torch.Tensor
    ref_logprobs: torch.Tensor
    kl: torch.Tensor  # KL(π(·|s) ‖ π_ref(·|s))
    entropy: torch.Tensor


def token_figures(
    hidden: torch.Tensor,
    ref_hidden: torch.Tensor | None,
    targets: torch.Tensor,
    head: Any,
    *,
    temperature: float,
) -> TokenFigures:
    """From last hidden states (N, H) of policy and reference, which share a head that is not trained.

    Without a reference the policy is its own.
    """
    figures = _Figures.apply(hidden, ref_hidden, targets, head, temperature)  # type: ignore[no-untyped-call]
    return TokenFigures(*figures)


class _Figures(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        ref_hidden: torch.Tensor | None,
        targets: torch.Tensor,
        head: Any,
        temperature: float,
    ) -> tuple[torch.Tensor, ...]:
        wanted = ctx.needs_input_grad[0]
        rows: list[tuple[torch.Tensor, ...]] = []
        pulls: list[torch.Tensor] = []  # d log π(target) / d hidden
        beside = hidden if ref_hidden is None else ref_hidden
        parts = zip(*(torch.split(one, ROWS) for one in (hidden, beside, targets)), strict=True)
        for states, ref_states, tokens in parts:
            logprobs = _logprobs(head, states, temperature)  # (R, V)
            ref_logprobs = logprobs if ref_hidden is None else _logprobs(head, ref_states, temperature)
            probabilities = logprobs.exp()
            chosen, ref_chosen = (all_.gather(1, tokens[:, None])[:, 0] for all_ in (logprobs, ref_logprobs))
            entropy = -torch.linalg.vecdot(probabilities, logprobs)
            kl = torch.linalg.vecdot(probabilities, logprobs.sub_(ref_logprobs))
            rows.append((chosen, ref_chosen, kl, entropy))
            if wanted:
                expected = probabilities.to(head.weight.dtype) @ head.weight  # (R, H)
                pulls.append((head.weight[tokens].float() - expected.float()) / temperature)
        if wanted:
            ctx.save_for_backward(torch.cat(pulls))
            ctx.dtype = hidden.dtype
        found = tuple(torch.cat(column) for column in zip(*rows, strict=True))
        ctx.mark_non_differentiable(*found[1:])
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (pull,) = ctx.saved_tensors
        return (gradients[0][:, None] * pull).to(ctx.dtype), None, None, None, None


def _logprobs(head: Any, hidden: torch.Tensor, temperature: float) -> torch.Tensor:
    logits: torch.Tensor = head(hidden).float()
    return (logits if temperature == 1 else logits / temperature).log_softmax(-1)
