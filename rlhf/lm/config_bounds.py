"""Which values the fields of configs may have, whoever gives them: a form, a command or a file."""

from __future__ import annotations

from rlhf.lm.configs import POLICY_CONFIGS

BOUNDS: dict[str, tuple[float, float]] = {
    "completions_per_task": (1, 64),
    "best_of": (1, 64),
    "completions_per_prompt": (2, 64),
    "prompts_per_step": (1, 256),
    "temperature": (0.01, 2),
    "top_p": (0.01, 1),
    "max_new_tokens": (1, 1024),
    "batch_size": (1, 1024),
    "heads": (1, 64),
    "steps": (1, 100_000),
    "learning_rate": (1e-8, 1),
    "clip_coef": (0.01, 1),
    "gamma": (0, 1),
    "gae_lambda": (0, 1),
    "value_learning_rate": (1e-8, 1),
    "value_clip": (1e-3, 1000),
    "kl_budget": (0.01, 1000),
    "beta": (1e-3, 100),
    "epochs": (1, 1000),
    "groups_per_step": (1, 256),
    "length_drift": (1, 1000),
    "disagreement": (1, 1000),
    "entropy_floor": (0, 1),
    "repetition": (0, 1),
    "texts_per_step": (1, 4096),
    "samples_per_task": (0, 256),
    "check_samples": (1, 64),
    "beta_trials": (1, 12),
    "cql_states": (1, 4096),
    "td_lambda": (0, 1),
    "tau": (0.01, 0.999),
    "polyak": (1e-4, 1),
    "width": (1, 16384),
    "lora_r": (1, 256),
    "lora_alpha": (1, 1024),
    "save_every": (1, 1000),
    "gold_every": (0, 100_000),
    "gold_examples": (1, 64),
    "bootstrap": (100, 100_000),
    "tried_examples": (1, 64),
    "execution_weight": (1e-3, 1e6),
}
"""What is sensible for a field, whichever config it is in. Other numbers must be 0 or more."""
CHOICES = {
    "algorithm": tuple(POLICY_CONFIGS),
    "loss": ("sigmoid", "ipo"),
    "rewards": ("model", "rankings"),
    "ties": ("davidson", "half"),
    "strength": ("graded", "margin", "ignored"),
    "rankings": ("pairs", "plackett_luce"),
    "length": ("as_is", "given", "balanced", "removed"),
}


def bounds_of(name: str) -> tuple[float, float]:
    """The least and the greatest sensible number for a field."""
    return BOUNDS.get(name, (0, 1e12))
