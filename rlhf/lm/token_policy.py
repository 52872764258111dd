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

    def split(self, sizes: list[int]) -> list[TokenFigures]:
        """Those of groups of tokens, one after another."""
        parts = (torch.split(figure, sizes) for figure in vars(self).values())
        return [TokenFigures(*part) for part in zip(*parts, strict=True)]


def token_figures(
    hidden: torch.Tensor,
    ref_hidden: torch.Tensor | None,
    targets: torch.Tensor,
    head: Any,
    *,
    temperature: float,
) -> TokenFigures:
    """From last hidden states (N, H) of policy and reference, which share a head that is not trained.

    Without those of a reference the policy is its own: KL is 0.
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
        for start in range(0, len(hidden), ROWS):
            part = slice(start, start + ROWS)
            tokens = targets[part, None]  # (R, 1)
            logprobs = _logprobs(head, hidden[part], temperature)  # (R, V)
            chosen = logprobs.gather(1, tokens)[:, 0]
            probabilities = logprobs.exp()
            entropy = -torch.linalg.vecdot(probabilities, logprobs)
            ref_chosen, kl = chosen, torch.zeros_like(chosen)
            if ref_hidden is not None:
                ref_logprobs = _logprobs(head, ref_hidden[part], temperature)  # (R, V)
                ref_chosen = ref_logprobs.gather(1, tokens)[:, 0]
                kl = torch.linalg.vecdot(probabilities, logprobs.sub_(ref_logprobs))
            rows.append((chosen, ref_chosen, kl, entropy))
            if wanted:
                expected = probabilities.to(head.weight.dtype) @ head.weight  # (R, H)
                pulls.append((head.weight[tokens[:, 0]].float() - expected.float()) / temperature)
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
