"""Q and V heads on a language model's last hidden states, and the output layer that decodes by them.

Q(s, a) = (e_a − ē)·m(s) / c + b(s): e_a is the row of token a in the output embedding, ē the rows' mean, c
the mean length of what is left, and m, b come from a small network. So no token has weights of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rlhf.lm.backbones import CausalLM

TWINS = 2  # the lesser of two estimates is less often too high (Fujimoto et al. 2018, arXiv 1802.09477)


class QHead(nn.Module):
    """One estimate of Q. What it makes of a state is m(s) and b(s), beside each other."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.network = _network(hidden, width, hidden + 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(N, H) -> (N, H + 1)."""
        made: torch.Tensor = self.network(states)
        return made


class QHeads(nn.Module):
    """Twin Q heads, the slow copies of them that give the targets (Q̂), and V. All in float32."""

    def __init__(self, embedding: torch.Tensor, *, width: int, seed: int) -> None:
        super().__init__()
        hidden = embedding.shape[1]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.q = nn.ModuleList(QHead(hidden, width) for _ in range(TWINS))
            self.slow = nn.ModuleList(QHead(hidden, width) for _ in range(TWINS))
            self.v = _network(hidden, width, 1)
        self.slow.load_state_dict(self.q.state_dict())
        self.slow.requires_grad_(False)
        self.width = width
        rows = embedding.detach().float()
        self.mean: torch.Tensor
        self.register_buffer("mean", rows.mean(0), persistent=False)  # (H,)
        self.scale = float((rows - self.mean).norm(dim=1).mean())
        self.to(embedding.device)

    def value(self, states: torch.Tensor) -> torch.Tensor:
        """V(s). Shape: (N, H) -> (N,)."""
        values: torch.Tensor = self.v(states)[:, 0]
        return values

    def of_actions(self, made: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Q(s, a) of one action for each state: what a head made (N, H + 1), its row (N, H) -> (N,)."""
        return ((rows.float() - self.mean) * made[:, :-1]).sum(-1) / self.scale + made[:, -1]

    def of_all(self, made: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Q(s, a) of every token: (N, H + 1), (V, H) -> (N, V). In the embedding's precision inside."""
        direction = made[:, :-1] / self.scale
        products = (direction.to(embedding.dtype) @ embedding.T).float()
        return products + (made[:, -1] - direction @ self.mean)[:, None]

    def advantage(self, states: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """min Q̂(s, ·) − V(s) of every token. Shapes: (N, H), (V, H) -> (N, V), float32."""
        inputs = standardise(states)
        found = [self.of_all(head(inputs), embedding) for head in self.slow]
        lesser = found[0]
        for other in found[1:]:
            lesser = torch.minimum(lesser, other)
        return lesser - self.value(inputs)[:, None]

    @torch.no_grad()
    def follow(self, polyak: float) -> None:
        """Move the slow copies a part of the way to the heads: θ̂ ← (1 − polyak) θ̂ + polyak θ."""
        for slow, quick in zip(self.slow.parameters(), self.q.parameters(), strict=True):
            slow.lerp_(quick, polyak)


class PerturbedOutput(nn.Module):
    """In place of a model's output layer: its logits + β (min Q̂ − V). Whoever asks for logits gets these.

    So sampling, log-probabilities and KL are all of the policy that decodes (ILQL, §4.3). With β = 0 the
    logits are those of the layer itself, to the bit.
    """

    def __init__(self, base: nn.Module, heads: QHeads, beta: float) -> None:
        super().__init__()
        self.base = base
        self.heads = heads
        self.beta = beta

    @property
    def weight(self) -> torch.Tensor:
        """The embedding (V, H), where a layer has it."""
        weight: torch.Tensor = self.base.weight  # type: ignore[assignment]
        return weight

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, H) -> (…, V)."""
        logits: torch.Tensor = self.base(hidden)
        if self.beta == 0:
            return logits
        advantage = self.heads.advantage(hidden.reshape(-1, hidden.shape[-1]), self.weight)
        return logits.float() + self.beta * advantage.view(logits.shape)


def standardise(states: torch.Tensor) -> torch.Tensor:
    """What the heads read: hidden states with mean 0 and spread 1 each, float32. Shape: (N, H)."""
    return nn.functional.layer_norm(states.float(), states.shape[-1:])


def perturb(model: Any, heads: QHeads, beta: float) -> PerturbedOutput:
    """Have the model decode by these heads; gives the new output layer, whose `beta` may be changed."""
    output = PerturbedOutput(restore(model), heads, beta)
    model.set_output_embeddings(output)
    return output


def restore(model: Any) -> nn.Module:
    """Take heads off again, if there are any; gives the model's own output layer."""
    output: nn.Module = model.get_output_embeddings()
    if isinstance(output, PerturbedOutput):
        output = output.base
        model.set_output_embeddings(output)
    return output


def refuse_q_heads(lm: CausalLM, purpose: str) -> None:
    """Raises ValueError where the policy decodes by Q heads: they are of its weights and fit no others."""
    if isinstance(lm.model.get_output_embeddings(), PerturbedOutput):
        raise ValueError(
            f"{lm.checkpoint or lm.name} decodes by Q heads, which fit no weights but those they were "
            f"trained on: {purpose} the policy that it was made of instead"
        )


def _network(hidden: int, width: int, out: int) -> nn.Sequential:
    """One hidden layer; at the start it says 0 of everything."""
    last = nn.Linear(width, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(hidden, width), nn.ReLU(), last)
