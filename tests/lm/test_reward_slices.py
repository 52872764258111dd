"""Slices and contradictions against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm.data import Task
from rlhf.lm.pairs import Pair
from rlhf.lm.reward_slices import contradicted, length_bucket, slices

TASKS = {"t": Task("t", "x", domain="code"), "u": Task("u", "y", domain="writing", language="zh-hans")}
PAIRS = [
    Pair("t", "bob", "a", "b", 1.0, judgment_id="1", strength=3),
    Pair("t", "bob", "a" * 120, "b" * 80, 0.0, judgment_id="2", strength=1),
    Pair("u", "carol", "a", "b", 0.5, judgment_id="3"),
    Pair("u", "carol", "a", "c", 0.0, judgment_id="4"),
]
MARGINS = np.array([1.0, 2.0, 5.0, 3.0])  # right, wrong by 2, a tie, wrong by 3


def test_each_slice_has_its_own_share() -> None:
    found = {
        (s.by, s.name): (s.pairs, s.accuracy.value)
        for s in slices(PAIRS, MARGINS, TASKS, resamples=50, seed=0)
    }
    assert found == {
        ("domain", "code"): (2, 0.5),
        ("domain", "writing"): (2, 0.25),
        ("language", "en"): (2, 0.5),
        ("language", "zh-hans"): (2, 0.25),
        ("length", "0-49"): (3, 0.5),
        ("length", "100-199"): (1, 0.0),
        ("strength", "3"): (1, 1.0),
        ("strength", "1"): (1, 0.0),
        ("strength", ""): (2, 0.25),
        ("preferred", "shorter"): (1, 0.0),
        ("preferred", ""): (3, 0.5),
    }


def test_small_slices_are_marked() -> None:
    many = slices(PAIRS[:1] * 30, np.ones(30), TASKS, resamples=10, seed=0)
    few = slices(PAIRS[:1] * 29, np.ones(29), TASKS, resamples=10, seed=0)
    assert not any(s.is_small for s in many)
    assert all(s.is_small for s in few)


def test_buckets_end_at_their_edges() -> None:
    assert [length_bucket(n) for n in (0, 49, 49.5, 50, 399, 400)] == [
        "0-49", "0-49", "0-49", "50-99", "200-399", "400+"
    ]  # fmt: skip


def test_the_furthest_contradiction_comes_first_and_ties_are_none() -> None:
    assert [(c.judgment_id, c.margin) for c in contradicted(PAIRS, MARGINS)] == [("4", 3.0), ("2", 2.0)]


def test_a_contradiction_can_be_looked_at() -> None:
    """A margin of 3 at temperature 2 gives what was preferred σ(-1.5) = 0.182; long texts are clipped."""
    worst, long = contradicted(PAIRS, MARGINS, temperature=2.0)
    assert worst.probability == pytest.approx(1 / (1 + np.exp(1.5)))
    assert (worst.annotator, worst.preferred, worst.other, worst.task_id) == ("carol", "c", "a", "u")
    assert (long.preferred, long.other, long.strength) == ("b" * 80, "a" * 120, 1)
    [clipped] = contradicted([Pair("t", "bob", "a" * 500, "b", 1.0)], np.array([-1.0]))
    assert clipped.preferred == "a" * 399 + "…"
