"""Winner stays (WS-W): the arm with the best record meets the runner-up, and whoever was just playing stays on ties.

With ``C(i)`` the number of duels won minus those lost,

    first = argmax C,   second = argmax of C over the others

where ties go to the previous round's first arm, then to its second arm, else to one at random. The cumulative *weak* regret
is bounded in T: ``O(K^2)`` with a Condorcet winner, ``O(K ln K)`` with a total order (Chen and Frazier 2017, "Dueling bandits
with weak regret"; the rule as recalled). Every round is a duel of two different arms, so its strong and average regret grow
linearly; its variant for strong regret, WS-S, is not this file.
"""

from typing import NamedTuple

from prefsim.ops import Array, floats, integers, uniform

FEEDBACK = "duel"


class Hyper(NamedTuple):
    """Hyperparameters: none."""


class State(NamedTuple):
    """Records of the arms."""

    score: Array = floats("arms")
    """Wins minus losses."""
    last: Array = integers(2)
    """The arms of the previous round, -1 before the first."""


def init(hyper, state, problem):
    """No data: everybody ties."""
    state.last[0] = -1
    state.last[1] = -1


def act(hyper, state, problem, t, noise):
    """The leader against the runner-up."""
    first = leader(state, problem.arms, -1, noise)
    return first, leader(state, problem.arms, first, noise)


def leader(state, arms, apart, noise):
    """The best of all arms but one."""
    top = -1e300
    for i in range(arms):
        if i != apart:
            top = max(top, state.score[i])
    for k in range(2):
        if state.last[k] >= 0 and state.last[k] != apart and state.score[state.last[k]] == top:
            return state.last[k]
    ties, best = 0, -1
    for i in range(arms):
        if i != apart and state.score[i] == top:
            ties += 1
            if uniform(noise) * ties < 1.0:
                best = i
    return best


def learn(hyper, state, problem, t, action, feedback):
    """One up for the winner, one down for the loser."""
    change = 2.0 * feedback - 1.0
    for k in range(2):
        state.score[action[k]] += change
        state.last[k] = action[k]
        change = -change


def recommend(hyper, state, problem, t):
    """The arm with the best record; the previous first arm on ties."""
    best = max(state.last[0], 0)
    for i in range(problem.arms):
        if state.score[i] > state.score[best]:
            best = i
    return best
