"""What a policy gradient needs to know of each token: its log-probability, KL to the reference, entropy.

The logits of N tokens over 49,000 words are hundreds of megabytes, which a dozen passes fetch from memory.
So those of some words at a time are made from the hidden states, added up and forgotten, and each weight is
fetched once. The gradient of log π(target) in a hidden state, (W[target] - Σ_v π(v) W[v]) / temperature, is
put together on the way there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

HELD = 2**21  # logits at once: so few that they stay in the processor's cache
LEAST_WORDS = 256  # whose logits are made at once, however many tokens there are


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
        wanted, n = ctx.needs_input_grad[0], len(hidden)
        rows = hidden if ref_hidden is None else torch.cat([hidden, ref_hidden])  # (N or 2N, H)
        tokens = targets.repeat(len(rows) // n)[:, None]
        # Of the words so far: log Σ exp(logit), and means over π of logits, gaps to the reference, and W.
        sums = rows.new_full((len(rows), 1), -torch.inf, dtype=torch.float32)
        chosen = torch.zeros_like(sums)
        logit, gap = torch.zeros_like(sums[:n]), torch.zeros_like(sums[:n])
        expected = torch.zeros_like(hidden, dtype=torch.float32)
        many = max(LEAST_WORDS, HELD // len(rows))
        for start in range(0, len(head.weight), many):
            words = slice(start, start + many)
            weight, bias = head.weight[words], None if head.bias is None else head.bias[words]
            logits = torch.nn.functional.linear(rows, weight, bias).float()
            if temperature != 1:
                logits /= temperature
            inside = tokens - start
            its = logits.gather(1, inside.clamp(0, len(weight) - 1))
            chosen = torch.where((inside >= 0) & (inside < len(weight)), its, chosen)
            # The likeliest word says what softmax divided by: that takes half of logsumexp's time.
            likely = logits.softmax(-1)
            here = logits.amax(-1, keepdim=True) - likely.amax(-1, keepdim=True).log()
            before, sums = sums, torch.logaddexp(sums, here)
            share, kept = (here - sums)[:n].exp(), (before - sums)[:n].exp()
            likely, logits, ref_logits = likely[:n], logits[:n], logits[n:]
            logit = kept * logit + share * torch.linalg.vecdot(likely, logits)[:, None]
            if ref_hidden is not None:
                gap = kept * gap + share * torch.linalg.vecdot(likely, logits.sub_(ref_logits))[:, None]
            if wanted:
                expected = kept * expected + share * (likely.to(weight.dtype) @ weight).float()
        if wanted:
            ctx.save_for_backward((head.weight[targets].float() - expected) / temperature)
            ctx.dtype = hidden.dtype
        logprobs, total, ref_total = chosen - sums, sums[:n], sums[-n:]
        kl = gap - total + ref_total
        found = tuple(part[:, 0] for part in (logprobs[:n], logprobs[-n:], kl, total - logit))
        ctx.mark_non_differentiable(*found[1:])
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (pull,) = ctx.saved_tensors  # d log π(target) / d hidden
        return (gradients[0][:, None] * pull).to(ctx.dtype), None, None, None, None
