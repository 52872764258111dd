"""The settings of every stage: flat frozen dataclasses, a sentence under each field. No torch.

A config is stored with its run and saved beside its checkpoint, so each field is plain JSON.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SamplingConfig:
    """How completions are written."""

    completions_per_task: int = 4
    temperature: float = 0.8
    """At 1 without a cut the embedded model writes noise."""
    top_p: float = 0.95
    max_new_tokens: int = 48
    batch_size: int = 64
    """Sequences decoded together."""
    seed: int = 0


@dataclass(frozen=True)
class RewardConfig:
    """A reward model on frozen features: an ensemble of linear heads, refitted from all judgments."""

    heads: int = 5
    """Heads of the ensemble; their spread is the model's own doubt."""
    l2: float = 10000.0
    """Strength of the L2 penalty on standardised features (docs/LOG.md: unseen tasks ask for this much)."""
    steps: int = 60
    """L-BFGS iterations; one record is yielded after every five."""
    ties: str = "davidson"
    """How ties are read where strength says nothing: Davidson's model, or half of each side."""
    strength: str = "graded"
    """How "slightly, better, much" is read: as grades, as a margin (Llama-2), or ignored."""
    rankings: str = "pairs"
    """How rankings of three and more are read: all their pairs, or as wholes (plackett_luce)."""
    use_length: bool = False
    """Give the heads log-length as an explicit covariate."""
    batch_size: int = 32
    """Completions encoded together."""
    bootstrap: int = 1000
    """Resamples (by task) behind the accuracy's interval."""
    seed: int = 0


@dataclass(frozen=True)
class PolicyConfig:
    """RLOO (Ahmadian et al. 2024, arXiv 2402.14740) on LoRA adapters against a reward model."""

    algorithm: str = "rloo"
    steps: int = 16
    prompts_per_step: int = 8
    completions_per_prompt: int = 6
    max_new_tokens: int = 40
    temperature: float = 1.0
    """Rollouts are sampled from the policy itself: no cut, so that their probabilities are true."""
    learning_rate: float = 2e-4
    kl_coef: float = 0.03
    """Weight of the KL penalty to the reference, in reward units per nat of a whole completion."""
    kl_budget: float = 8.0
    """Mean nats a completion; the run stops before it goes further away than this."""
    length_drift: float = 3.0
    """The run stops when completions become this many times longer or shorter than at its start."""
    epochs: int = 1
    """Updates on the same rollouts; from the second on, `clip_coef` bounds how far they go."""
    clip_coef: float = 0.2
    max_grad_norm: float = 1.0
    lora_r: int = 8
    lora_alpha: int = 16
    pessimism: float = 0.5
    """Reward = mean - pessimism * std over the reward model's heads."""
    save_every: int = 1
    """Steps between checkpoints that a killed run resumes from."""
    sample_tasks: int = 4
    """Tasks whose samples are shown on the run page."""
    sample_every: int = 4
    """Steps between two such samples; the first and the last step always have them."""
    seed: int = 0


@dataclass(frozen=True)
class EvaluationConfig:
    """Old against new on held-out tasks."""

    completions_per_task: int = 4
    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 48
    gold_examples: int = 6
    """Held-out examples an instruction is judged on."""
    gold_contrast: int = 3
    """Outputs of other inputs that the right one is compared with."""
    bootstrap: int = 2000
    seed: int = 0
