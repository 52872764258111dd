"""Bradley-Terry: strengths by hand, parts that never met, intervals that hold what they should."""

import math

import numpy as np
import pytest
from scipy.special import expit

from rlhf.lm.leaderboard import Game, boards, connected


def games(first: int, second: int, *, won: int, lost: int, task: str = "") -> list[Game]:
    outcomes = [1.0] * won + [0.0] * lost
    return [Game(first, second, outcome, task or f"{first}{second}{n}") for n, outcome in enumerate(outcomes)]


def test_two_players_by_hand():
    """30 won and 10 lost: odds 3, log-odds 1.10, a win rate of 75 % (less what the ridge takes)."""
    (board,) = boards(games(2, 1, won=30, lost=10), anchors=[1])
    best, anchor = board.standings
    assert (best.player, anchor.player, board.games, board.tasks) == (2, 1, 40, 40)
    assert best.strength.value == pytest.approx(math.log(3), abs=0.02)
    assert best.win_rate.value == pytest.approx(0.75, abs=0.003)
    assert best.win_rate.low < 0.7 < 0.8 < best.win_rate.high
    assert (anchor.strength.low, anchor.strength.value, anchor.strength.high) == (0, 0, 0)
    assert (best.games, best.won, anchor.won) == (40, 30, 10)


def test_strength_passes_on_through_others():
    """1 and 3 never met: log-odds add up, so 3 stands ln 4 + ln 4 above 1."""
    (board,) = boards(games(2, 1, won=80, lost=20) + games(3, 2, won=80, lost=20), anchors=[1])
    assert [row.player for row in board.standings] == [3, 2, 1]
    assert board.standings[0].strength.value == pytest.approx(2 * math.log(4), abs=0.05)


def test_who_never_met_is_not_compared():
    found = boards(
        games(1, 2, won=3, lost=1) + games(2, 3, won=2, lost=2) + games(7, 9, won=5, lost=0), anchors=[1]
    )
    assert [sorted(row.player for row in board.standings) for board in found] == [[1, 2, 3], [7, 9]]
    assert [board.anchor for board in found] == [1, 7]
    assert len(connected(games(1, 2, won=1, lost=0) + games(3, 4, won=1, lost=0))) == 2


def test_who_won_every_game_is_strong_but_finite():
    (board,) = boards(games(5, 4, won=6, lost=0))
    best = board.standings[0]
    assert best.player == 5 and 0.9 < best.win_rate.value < 1
    assert math.isfinite(best.strength.high)


def test_who_is_named_first_does_not_matter():
    one = boards(games(1, 2, won=3, lost=5, task="a"))[0]
    other = boards([Game(2, 1, 1 - game.outcome, "a") for game in games(1, 2, won=3, lost=5)])[0]
    assert one.standings[0].strength.value == pytest.approx(other.standings[0].strength.value)


def test_a_share_counts_as_that_part_of_a_win():
    (board,) = boards([Game(2, 1, 0.75, str(n)) for n in range(40)], anchors=[1])
    assert board.standings[0].win_rate.value == pytest.approx(0.75, abs=0.003)


def test_nobody_plays_against_themselves():
    with pytest.raises(ValueError, match="themselves"):
        boards([Game(1, 1, 1.0, "a")])
    assert boards([]) == []


def test_games_of_one_task_are_no_more_evidence_than_one_game():
    alone = games(2, 1, won=30, lost=10)
    clustered = [Game(2, 1, g.outcome, n // 10) for n, g in enumerate(alone)]
    wide, narrow = (boards(rows, anchors=[1])[0].standings[0].strength for rows in (clustered, alone))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Four players of known strength, 60 tasks; 95 % intervals, of which a hundred are looked at."""
    truth = np.array([0.0, 0.3, 0.6, 1.0])
    held = total = 0
    for seed in range(34):
        chance = np.random.default_rng(seed)
        rows = [
            Game(i, j, float(chance.random() < expit(truth[i] - truth[j])), task)
            for task in range(60)
            for i in range(4)
            for j in range(i)
        ]
        for row in boards(rows, anchors=[0], resamples=300, seed=seed)[0].standings:
            if row.player:
                total += 1
                held += row.strength.low <= truth[row.player] <= row.strength.high
    assert 0.87 <= held / total <= 0.99
