"""A leaderboard: Bradley-Terry strengths from games between players, with intervals. numpy alone.

P(i beats j) = σ(θ_i - θ_j). Who has not met, not even by way of others, cannot be compared: each connected
part of the graph is a board of its own. Intervals come from resampling tasks, since the games of a task are
not independent. Left out: change over time.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from rlhf.lm.metrics import Interval, interval_of

Floats = npt.NDArray[np.float64]

RIDGE = 0.1
"""Weight of θ²/2 beside the games' log-likelihood: who has won all is strong, not infinitely so."""
NEWTON_STEPS = 30
CLOSE = 1e-7


@dataclass(frozen=True)
class Game:
    """Two players met on a task; `outcome` is the first one's share: 1 won, 0 lost, a half for a tie."""

    first: int
    second: int
    outcome: float
    task: Hashable


@dataclass(frozen=True)
class Standing:
    """A player's place. Strengths are in log-odds of winning, the anchor's 0; the anchor has no interval."""

    player: int
    strength: Interval
    win_rate: Interval
    """Against the anchor."""
    games: int
    won: float


@dataclass(frozen=True)
class Board:
    """The players of one connected part of the graph, the strongest first."""

    anchor: int
    standings: tuple[Standing, ...]
    games: int
    tasks: int


def boards(
    games: Sequence[Game], *, anchors: Sequence[int] = (), resamples: int = 1000, seed: int = 0
) -> list[Board]:
    """The boards, the one with most players first. The anchor is the first of `anchors` that plays, else
    the player with the smallest number. Raises ValueError on a game of somebody against themselves."""
    if any(game.first == game.second for game in games):
        raise ValueError("nobody plays against themselves")
    found = [
        _board(part, _anchor(part, anchors), resamples=resamples, seed=seed) for part in connected(games)
    ]
    return sorted(found, key=lambda board: (-len(board.standings), board.anchor))


def connected(games: Sequence[Game]) -> list[list[Game]]:
    """The games, parted so that players of different parts never met."""
    leader: dict[int, int] = {}

    def find(player: int) -> int:
        while leader.setdefault(player, player) != player:
            player = leader[player]
        return player

    for game in games:
        leader[find(game.first)] = find(game.second)
    parts: dict[int, list[Game]] = {}
    for game in games:
        parts.setdefault(find(game.first), []).append(game)
    return list(parts.values())


def bradley_terry(pairs: npt.NDArray[np.int64], won: Floats, played: Floats, players: int) -> Floats:
    """θ of the players, mean 0, for each of R data sets: of pair k the first won `won[r, k]` of
    `played[r, k]`. Shapes: pairs (K, 2), won and played (R, K); gives (R, P)."""
    design = np.zeros((len(pairs), players))
    design[np.arange(len(pairs)), pairs[:, 0]] = 1
    design[np.arange(len(pairs)), pairs[:, 1]] = -1
    theta = np.zeros((len(won), players))
    for _ in range(NEWTON_STEPS):
        p = expit(theta @ design.T)  # (R, K)
        slope = (won - played * p) @ design - RIDGE * theta
        weighed = (played * p * (1 - p))[..., None] * design  # (R, K, P)
        curved = weighed.swapaxes(1, 2) @ design  # (R, P, P)
        step = np.linalg.solve(curved + RIDGE * np.eye(players), slope[..., None])[..., 0]
        theta += np.clip(step, -2, 2)  # from a flat start Newton can overshoot
        if np.abs(step).max() < CLOSE:
            break
    return theta


def _anchor(games: Sequence[Game], anchors: Sequence[int]) -> int:
    players = {player for game in games for player in (game.first, game.second)}
    return next((player for player in anchors if player in players), min(players))


def _board(games: Sequence[Game], anchor: int, *, resamples: int, seed: int) -> Board:
    players = sorted({player for game in games for player in (game.first, game.second)})
    place = {player: n for n, player in enumerate(players)}
    tasks = {task: n for n, task in enumerate(dict.fromkeys(game.task for game in games))}
    pairs = {pair: n for n, pair in enumerate(sorted({_pair(game) for game in games}))}

    won, played = np.zeros((len(tasks), len(pairs))), np.zeros((len(tasks), len(pairs)))
    for game in games:
        at = tasks[game.task], pairs[_pair(game)]
        won[at] += game.outcome if game.first < game.second else 1 - game.outcome
        played[at] += 1
    counts = np.random.default_rng(seed).multinomial(
        len(tasks), np.full(len(tasks), 1 / len(tasks)), size=resamples
    )
    counts = np.concatenate([np.ones((1, len(tasks)), dtype=counts.dtype), counts])  # what was seen is first
    indices = np.array([[place[one], place[other]] for one, other in pairs])
    theta = bradley_terry(indices, counts @ won, counts @ played, len(players))
    theta = theta - theta[:, [place[anchor]]]

    rates = expit(theta)
    standings = [
        Standing(
            player=player,
            strength=interval_of(float(theta[0, n]), theta[1:, n]),
            win_rate=interval_of(float(rates[0, n]), rates[1:, n]),
            games=sum(player in (game.first, game.second) for game in games),
            won=sum(_share(game, player) for game in games),
        )
        for n, player in enumerate(players)
    ]
    return Board(
        anchor=anchor,
        standings=tuple(sorted(standings, key=lambda row: (-row.strength.value, row.player))),
        games=len(games),
        tasks=len(tasks),
    )


def _pair(game: Game) -> tuple[int, int]:
    return min(game.first, game.second), max(game.first, game.second)


def _share(game: Game, player: int) -> float:
    return game.outcome if player == game.first else 1 - game.outcome if player == game.second else 0.0
