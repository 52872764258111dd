"""Every figure of `metrics` against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm import metrics


def test_bootstrap_mean_of_two_groups_reaches_each_group_mean() -> None:
    # Two groups: the four equally likely draws are AA, AB, BA, BB with means 0, 1/3, 1/3, 1.
    interval = metrics.bootstrap_mean([0.0, 0.0, 1.0], ["a", "a", "b"], resamples=4000)
    assert interval.value == pytest.approx(1 / 3)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_bootstrap_mean_of_independent_values_matches_the_normal_interval() -> None:
    values = np.tile([0.0, 1.0], 200)  # standard error of the mean: 0.5 / sqrt(400) = 0.025
    interval = metrics.bootstrap_mean(values, resamples=4000)
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.004)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.004)


def test_repeating_a_group_does_not_narrow_its_interval() -> None:
    once = metrics.bootstrap_mean([0.0, 1.0, 1.0, 0.0], [1, 2, 3, 4], resamples=2000)
    copied = metrics.bootstrap_mean([0.0, 1.0, 1.0, 0.0] * 50, [1, 2, 3, 4] * 50, resamples=2000)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


def test_bootstrap_is_repeatable_and_follows_the_seed() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert metrics.bootstrap_mean(values, seed=1) == metrics.bootstrap_mean(values, seed=1)
    assert metrics.bootstrap_mean(values, seed=1) != metrics.bootstrap_mean(values, seed=2)


def test_bootstrap_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        metrics.bootstrap_mean([])
    with pytest.raises(ValueError, match="2 values, but 1 groups"):
        metrics.bootstrap_mean([1.0, 2.0], ["a"])


def test_a_constant_gain_has_an_interval_without_width() -> None:
    before = np.array([0.0, 5.0, -3.0])
    interval = metrics.bootstrap_difference(before, before + 0.25)
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.25, 0.25, 0.25))


def test_the_difference_needs_matching_values() -> None:
    with pytest.raises(ValueError, match="2 values before, but 1 after"):
        metrics.bootstrap_difference([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("margin", "outcome", "credit"),
    [(2.0, 1.0, 1.0), (2.0, 0.0, 0.0), (-0.1, 0.0, 1.0), (0.0, 1.0, 0.5), (3.0, 0.5, 0.5), (0.0, 0.5, 0.5)],
)
def test_pair_credits(margin: float, outcome: float, credit: float) -> None:
    assert metrics.pair_credits([margin], [outcome]).tolist() == [credit]


def test_longer_wins_gives_half_for_equal_lengths() -> None:
    credits = metrics.longer_wins([(9, 3), (3, 9), (4, 4), (9, 3)], [1.0, 1.0, 1.0, 0.5])
    assert credits.tolist() == [1.0, 0.0, 0.5, 0.5]


def test_annotators_agree_by_item_and_pair_of_people() -> None:
    votes = [
        ("t1", "x", "bob", 1.0),
        ("t1", "x", "carol", 1.0),  # bob and carol agree: 1
        ("t1", "x", "dan", 0.0),  # dan against each of them: 0, 0
        ("t2", "y", "bob", 0.5),
        ("t2", "y", "carol", 1.0),  # a tie: one half
        ("t2", "z", "bob", 1.0),  # alone: no credit
    ]
    credits, groups = metrics.annotator_agreement(votes)
    assert sorted(credits.tolist()) == [0.0, 0.0, 0.5, 1.0]
    assert sorted(groups) == ["t1", "t1", "t1", "t2"]


def test_nobody_agrees_with_themselves() -> None:
    credits, groups = metrics.annotator_agreement([("t", "x", "bob", 1.0), ("t", "x", "bob", 0.0)])
    assert credits.size == 0 and groups == []


def test_calibration_error_weighs_bins_by_their_size() -> None:
    # Bin 0.9-1.0: three at 0.95, two of them right: |0.95 - 2/3| = 0.2833…; bin 0.5-0.6: one, right.
    error = metrics.expected_calibration_error([0.95, 0.95, 0.95, 0.55], [1, 1, 0, 1])
    assert error == pytest.approx((3 * (0.95 - 2 / 3) + 1 * 0.45) / 4)


def test_a_calibrated_model_has_no_error_and_certainty_falls_into_the_last_bin() -> None:
    assert metrics.expected_calibration_error([0.75] * 4, [1, 1, 1, 0]) == 0.0
    (bar,) = metrics.reliability_bins([1.0], [1.0])
    assert (bar.low, bar.high, bar.count) == (0.9, 1.0, 1)


def test_distinct_n_counts_over_all_texts() -> None:
    assert metrics.distinct_n(["a b a", "b"], 1) == 2 / 4
    assert metrics.distinct_n(["a b a", "A b"], 2) == 2 / 3  # (a b), (b a), (a b)
    assert metrics.distinct_n(["alone"], 2) == 0.0


def test_chinese_is_counted_by_character() -> None:
    assert metrics.words("改写 Politely，好吗") == ["改", "写", "politely", "好", "吗"]


def test_self_similarity_is_the_mean_over_pairs() -> None:
    # {a b} {b c}: 1/3, {a b} {a b}: 1, {b c} {a b}: 1/3
    assert metrics.self_similarity(["a b", "b c", "b a"]) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert metrics.self_similarity(["only one"]) == 0.0
