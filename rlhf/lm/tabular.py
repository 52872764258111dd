"""Tabular Q-learning on a token decision process that is small enough to enumerate: the oracle of ILQL.

State = the tokens so far, action = the next one, which the transition appends. A text is over at the end
token or at the horizon; its reward comes then, and nothing before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

State = tuple[int, ...]
Values = dict[tuple[State, int], float]
"""Q(s, a) by state and action."""


@dataclass(frozen=True)
class TokenProcess:
    """Which tokens there are (`end` among them), how long a text may be, and what a whole one is worth."""

    actions: tuple[int, ...]
    end: int
    horizon: int
    reward: Callable[[State], float]

    def step(self, state: State, action: int) -> tuple[State, float, bool]:
        """The next state, the reward on the way there, and whether the text is over."""
        following = (*state, action)
        over = action == self.end or len(following) == self.horizon
        return following, self.reward(following) if over else 0.0, over

    def states(self) -> Iterator[State]:
        """Every state in which there is something to choose, shorter ones first."""
        level: list[State] = [()]
        while level:
            yield from level
            steps = [self.step(state, action) for state in level for action in self.actions]
            level = [following for following, _, over in steps if not over]


def q_update(old: float, reward: float, best_next: float, *, alpha: float, gamma: float) -> float:
    """Q(s,a) + α [r + γ max Q(s',a') − Q(s,a)] (Watkins 1989). `best_next` is 0 where the text is over."""
    return old + alpha * (reward + gamma * best_next - old)


def learn(process: TokenProcess, *, texts: int, alpha: float, gamma: float = 1.0, seed: int = 0) -> Values:
    """Q after so many texts whose tokens are drawn evenly: off its policy, as Q-learning allows."""
    generator = np.random.default_rng(seed)
    values: Values = {(state, action): 0.0 for state in process.states() for action in process.actions}
    for _ in range(texts):
        state: State = ()
        over = False
        while not over:
            action = int(generator.choice(process.actions))
            following, reward, over = process.step(state, action)
            best = 0.0 if over else max(values[following, other] for other in process.actions)
            old = values[state, action]
            values[state, action] = q_update(old, reward, best, alpha=alpha, gamma=gamma)
            state = following
    return values


def solve(process: TokenProcess, *, gamma: float = 1.0) -> Values:
    """Q* by backward induction: the longest states first, so that each looks only at what is known."""
    values: Values = {}
    for state in reversed(list(process.states())):
        for action in process.actions:
            following, reward, over = process.step(state, action)
            best = 0.0 if over else max(values[following, other] for other in process.actions)
            values[state, action] = reward + gamma * best
    return values
