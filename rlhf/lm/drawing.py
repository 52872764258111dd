"""Draws tokens from logits over a large vocabulary, in a fraction of the time that the logits took."""

from __future__ import annotations

import torch

TOP_P_CANDIDATES = 512  # sorting 49,000 tokens a row costs more than the model does
DRAWN_TOGETHER = 8  # rows whose 49,000 weights fit into the processor's cache
BLOCK = 256  # tokens whose weights are added up first


def draw(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token a row by inverting the cumulative distribution at `uniforms` in [0, 1).

    Shapes: logits (B, V), uniforms (B, 2) -> tokens (B,) and their log-probabilities at temperature 1 (B,).
    The second uniform is for rows whose first token lies outside the top-p nucleus: they are drawn again,
    from the nucleus alone. So few rows are ever sorted. (`torch.multinomial` takes forty times as long.)
    """
    parts = [slice(start, start + DRAWN_TOGETHER) for start in range(0, len(logits), DRAWN_TOGETHER)]
    drawn = [_draw(logits[part], uniforms[part], temperature, top_p) for part in parts]
    tokens, logprobs = zip(*drawn, strict=True)
    return torch.cat(tokens), torch.cat(logprobs)


def _draw(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`draw` of so few rows that they stay in the processor's cache."""
    scores = logits.float()
    scores = scores - scores.amax(-1, keepdim=True)
    plain = scores.exp()
    if temperature == 0:
        tokens = scores.argmax(-1)
    else:
        weights = plain if temperature == 1 else (scores / temperature).exp()
        tokens = _invert(weights, uniforms[:, 0])
        if top_p < 1:
            likelier = weights > weights.gather(1, tokens[:, None])
            outside = (weights * likelier).sum(-1) >= top_p * weights.sum(-1)
            if bool(outside.any()):
                values, order = _nucleus(weights[outside], top_p)
                places = _invert(values, uniforms[outside, 1])
                tokens[outside] = order.gather(1, places[:, None])[:, 0]
    return tokens, scores.gather(1, tokens[:, None])[:, 0] - plain.sum(-1).log()


def _nucleus(weights: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest tokens that together reach `top_p` of all, sorted, the others at zero. Shapes: (B, K)."""
    aim = top_p * weights.sum(-1, keepdim=True)
    values, order = weights.topk(min(TOP_P_CANDIDATES, weights.shape[-1]))
    if bool((values.sum(-1, keepdim=True) < aim).any()):  # a flat row: its nucleus exceeds the candidates
        values, order = weights.sort(descending=True)
    before = values.cumsum(-1) - values
    return values.masked_fill(before >= aim, 0.0), order


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first place where the cumulative weight passes `uniforms` of the total: (B, K), (B,) -> (B,).

    First the block is found, then the place in it: sums of blocks are quicker than one long running sum.
    """
    missing = -weights.shape[-1] % BLOCK
    blocks = torch.nn.functional.pad(weights, (0, missing)) if missing else weights  # padding copies
    blocks = blocks.view(len(weights), -1, BLOCK)
    sums = blocks.sum(-1)  # (B, blocks)
    block, left = _passes(sums, uniforms * sums.sum(-1))
    place, _ = _passes(blocks[torch.arange(len(blocks), device=blocks.device), block], left)
    return block * BLOCK + place


def _passes(weights: torch.Tensor, aims: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the running sum passes each aim, and what the aim is beyond there: (B, K), (B,) -> (B,), (B,)."""
    cumulative = weights.cumsum(-1)
    found = torch.searchsorted(cumulative, aims[:, None], right=True)
    last = weights.shape[-1] - 1 - (weights.flip(-1) > 0).int().argmax(-1, keepdim=True)
    found = torch.minimum(found, last)  # rounding must not pass the end
    left = aims - (cumulative.gather(1, found) - weights.gather(1, found))[:, 0]
    return found[:, 0], left.clamp(min=0)
