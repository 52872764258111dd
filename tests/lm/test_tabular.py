"""Tabular Q-learning: one update by hand; it finds what backward induction says."""

from __future__ import annotations

import pytest

from rlhf.lm.tabular import TokenProcess, learn, q_update, solve

A, B, END = 1, 2, 0
# At most two tokens; "ab" is worth 2, "b" alone 1, to end at once 0.5, anything else nothing.
WORTH = {(A, B): 2.0, (B, END): 1.0, (END,): 0.5}
PROCESS = TokenProcess(actions=(END, A, B), end=END, horizon=2, reward=lambda state: WORTH.get(state, 0.0))


def test_one_update_by_hand() -> None:
    # 0.5 + 0.1 (1 + 0.9 * 2 - 0.5)
    assert q_update(0.5, 1.0, 2.0, alpha=0.1, gamma=0.9) == pytest.approx(0.73)


def test_the_states_are_those_in_which_there_is_a_choice() -> None:
    assert list(PROCESS.states()) == [(), (A,), (B,)]


def test_backward_induction_by_hand() -> None:
    values = solve(PROCESS, gamma=0.9)
    assert values[(A,), B] == 2
    assert values[(A,), A] == values[(A,), END] == 0
    assert [values[(), action] for action in (END, A, B)] == pytest.approx([0.5, 0.9 * 2, 0.9 * 1])


def test_q_learning_finds_what_backward_induction_says() -> None:
    exact = solve(PROCESS, gamma=0.9)
    found = learn(PROCESS, texts=2000, alpha=0.2, gamma=0.9)
    assert found.keys() == exact.keys()
    assert all(found[key] == pytest.approx(exact[key], abs=1e-6) for key in exact)
