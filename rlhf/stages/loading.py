"""From a checkpoint's row to the model in memory."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import BadCheckpoint, load_policy
from rlhf.lm.reward_model import RewardModel
from rlhf.models import Checkpoint, live_folder


def needed(checkpoint: Checkpoint | None) -> Checkpoint:
    """The checkpoint that a run is to work with. Raises ValueError if it names none."""
    if checkpoint is None:
        raise ValueError("the run does not say which checkpoint it is to work with")
    return checkpoint


def policy_of(checkpoint: Checkpoint) -> CausalLM:
    """The language model of a policy checkpoint: the base itself, or with its adapters."""
    if not checkpoint.folder:
        return load_causal(checkpoint.base_model, settings.MODELS_DIR)
    return load_policy(folder_of(checkpoint), settings.MODELS_DIR)


def frozen_executor() -> CausalLM:
    """The model that gold is judged with: a copy of its own, which no policy touches."""
    return load_causal(settings.EXECUTOR, settings.MODELS_DIR)


def folder_of(checkpoint: Checkpoint) -> Path:
    """Where its files lie."""
    folder: Path = settings.VAR / checkpoint.folder
    return folder


def reward_of(checkpoint: Checkpoint) -> RewardModel:
    """The reward model of a checkpoint, for texts that are seen once: their features are not kept."""
    return RewardModel.load(folder_of(checkpoint), settings.MODELS_DIR)


def newest_reward_of(checkpoint: Checkpoint) -> RewardModel:
    """The reward model with its heads as last refitted; the features that it computes are kept."""
    refitted: Path = settings.VAR / live_folder(checkpoint)
    try:
        return RewardModel.load(refitted, settings.MODELS_DIR, feature_cache())
    except BadCheckpoint:  # there are none, or they are being replaced in this moment
        return RewardModel.load(folder_of(checkpoint), settings.MODELS_DIR, feature_cache())


def feature_cache() -> Path:
    """The file that keeps frozen features."""
    cache: Path = settings.VAR / "features.sqlite3"
    return cache
