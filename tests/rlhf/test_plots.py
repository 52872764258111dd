"""What is drawn of policy runs, by algorithm."""

from __future__ import annotations

import pytest

from rlhf.lm.configs import POLICY_CONFIGS
from rlhf.models import Run
from rlhf.plots import plots_of
from rlhf.stage_configs import fill_in


def drawn(algorithm: str) -> set[str]:
    config = fill_in(POLICY_CONFIGS[algorithm], {"algorithm": algorithm})
    plots = plots_of(Run(kind=Run.Kind.POLICY, config=config))
    return {series.key for plot in plots for series in plot.series}


@pytest.mark.parametrize("algorithm", ["rloo", "grpo", "dr_grpo", "ppo"])
def test_runs_against_a_reward_model_draw_reward_kl_and_limits(algorithm: str):
    assert {"reward", "kl", "entropy", "length", "score_std", "repetition"} <= drawn(algorithm)


def test_ppo_draws_what_its_value_head_explains_as_well():
    assert drawn("ppo") - drawn("rloo") == {"explained_variance", "clip_fraction"}
