"""What the throughput bench feeds to both sides: a ranking's pairs, in the order of our steps."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from bench import reward_throughput, trainers
from tests.tiny import make_tiny_encoder, make_tiny_model


@pytest.mark.parametrize(("kind", "causal"), [(make_tiny_model, True), (make_tiny_encoder, False)])
def test_a_ranking_of_four_is_six_pairs_with_the_better_one_chosen(
    tmp_path: Path, kind: object, causal: bool
) -> None:
    folder = kind(tmp_path / "model")  # type: ignore[operator]
    data = trainers.rankings(3, 4, seed=0)
    config = trainers.config_of(str(folder), causal, "float32", per_step=2, seed=0)
    pairs = trainers.ordered_pairs(config, data, tmp_path)
    assert len(pairs) == 3 * 6
    for start in range(0, len(pairs), 6):
        wins = sorted(
            sum(chosen == ids for chosen, _ in pairs[start : start + 6])
            for ids in map(list, {tuple(ids) for pair in pairs[start : start + 6] for ids in pair})
        )
        assert wins == [0, 1, 2, 3]  # of a strict order of four


def test_both_sides_have_the_same_losses_at_two_completions(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    folder = make_tiny_model(tmp_path / "model")
    data = trainers.rankings(6, 2, seed=0)
    config = trainers.config_of(str(folder), True, "float32", per_step=2, seed=0)
    config = dataclasses.replace(config, epochs=2, learning_rate=1e-3)
    pairs = trainers.ordered_pairs(config, data, tmp_path)
    ours = trainers.train_ours(config, data, tmp_path, clock=time.perf_counter)[1]
    theirs = trainers.train_trl(config, pairs, tmp_path, batch=2, pairs_per_step=2, clock=time.perf_counter)[
        1
    ]
    assert len(ours) == len(theirs) == 6
    assert max(ours) - min(ours) > 1e-3  # they move
    assert theirs == pytest.approx(ours, abs=1e-5)


@pytest.mark.parametrize(
    ("theirs", "reordered", "other", "equal"),
    [
        ([0.7, 0.600001], [0.7, 0.6000005], [0.7, 0.59], True),  # 1e-6 apart, 5e-6 allowed
        ([0.7, 0.60001], [0.7, 0.6000005], [0.7, 0.59], False),  # 1e-5 apart
        ([0.7, 0.6], [0.7, 0.601], [0.7, 0.59], False),  # 0.01 allowed: the other rate would pass too
        ([0.7, 0.6], [0.7, 0.6], [0.7, 0.6], False),  # the other rate changes nothing: what is compared?
    ],
)
def test_curves_are_equal_within_rounding_where_a_difference_would_show(
    theirs: list[float], reordered: list[float], other: list[float], equal: bool
) -> None:
    verdict = reward_throughput.compared([0.7, 0.6], theirs, reordered=reordered, other=other)
    assert verdict.equal is equal


def test_losses_that_do_not_move_are_no_comparison() -> None:
    flat = [0.6931, 0.6931]
    assert not reward_throughput.compared(flat, flat, reordered=flat, other=[0.6931, 0.7]).equal


def test_the_data_follow_from_the_seed() -> None:
    assert trainers.rankings(2, 3, seed=1) == trainers.rankings(2, 3, seed=1)
    assert trainers.rankings(2, 3, seed=1) != trainers.rankings(2, 3, seed=2)
