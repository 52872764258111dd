"""Whom questions are put to: who may be the best, by how sure one is of them."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm.trust import put_to

COUNT = 20_000


def shares(draws: list[list[float]], *, among: int = 1) -> np.ndarray:
    people = put_to(np.array(draws), COUNT, np.random.default_rng(0), among=among)
    return np.bincount(people, minlength=len(draws[0])) / COUNT


def test_who_is_known_to_be_best_is_asked() -> None:
    sure = [[0.7, 0.95, 0.9]] * 3
    assert shares(sure).tolist() == [0.0, 1.0, 0.0]
    assert shares(sure, among=2) == pytest.approx([0.0, 0.5, 0.5], abs=0.02)


def test_who_may_be_best_is_asked_as_often_as_their_mean_of_four_is() -> None:
    """The second is at 0.9 or 0.5, the first at 0.75: ahead with three or four of four draws, 5/16."""
    assert shares([[0.75, 0.9], [0.75, 0.5]]) == pytest.approx([11 / 16, 5 / 16], abs=0.015)


def test_who_draws_alike_is_asked_alike() -> None:
    assert shares([[0.5] * 4]) == pytest.approx([0.25] * 4, abs=0.02)


def test_who_answers_the_opposite_is_not_asked() -> None:
    assert shares([[0.5, 0.05], [0.6, 0.15]])[1] == 0
