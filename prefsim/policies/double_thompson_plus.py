"""Double Thompson sampling, D-TS+: ties for the first arm go to the one whose comparisons promise the least regret.

As ``double_thompson``, but all pairs are sampled for the first arm (if C holds more than one), ``cop_i = #{ j : theta(i, j) >
1/2 }``, and among the ``i`` in C with the largest ``cop_i`` the first arm is

    argmin of  sum over j != i, theta(i, j) != 1/2,  of (2 max cop - cop_i - cop_j) / kl(theta(i, j), 1/2)        (ties random)

where the maximum is over all arms (Wu and Liu 2016, Section 4; that the maximum is not over C alone is recalled).
"""

from math import inf, log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, beta, coin_kl, floats
from prefsim.policies._duel_bounds import Hyper, validate
from prefsim.policies.double_thompson import challenger, init, learn, prune

__all__ = ["Hyper", "init", "learn", "validate"]

FEEDBACK = "duel"


class State(NamedTuple):
    """Statistics of every pair and scratch space."""

    wins: Array = floats("arms", "arms")
    need: Array = floats("arms", "arms")
    """``need[i, j]``: value of ``sqrt(ln t)`` from which on ``U(i, j) >= 1/2``."""
    chance: Array = floats("arms", "arms")
    """``P(theta(i, j) > 1/2)``."""
    hopes: Array = floats("arms")
    """Optimistic Copeland counts."""
    until: Array = floats(1)
    """Value of ``sqrt(ln t)`` from which on they change without a duel."""
    theta: Array = floats("arms", "arms")
    count: Array = floats("arms")
    """Sampled Copeland counts."""
    score: Array = floats("arms")


def act(hyper, state, problem, t, noise):
    """Sample the champion among the candidates, then its challenger."""
    arms, root = problem.arms, sqrt(log(t))
    most = prune(state, arms, root)
    candidates, champion = 0, 0
    for i in range(arms):
        if state.hopes[i] == most:
            candidates += 1
            champion = i
    if candidates > 1:
        champion = sample(state, arms, most, noise)
    return champion, challenger(state, arms, champion, root, noise)


def sample(state, arms, most, noise):
    """Draw every pair, and return the candidate with the largest count and the least regret to come."""
    for i in range(arms):
        state.count[i] = 0.0
    for i in range(arms):
        for j in range(i + 1, arms):
            theta = beta(noise, state.wins[i, j] + 1.0, state.wins[j, i] + 1.0)
            state.theta[i, j], state.theta[j, i] = theta, 1.0 - theta
            if theta > 0.5:
                state.count[i] += 1.0
            elif theta < 0.5:
                state.count[j] += 1.0
    top, front = 0.0, 0.0
    for i in range(arms):
        top = max(top, state.count[i])
        if state.hopes[i] == most:
            front = max(front, state.count[i])
    for i in range(arms):
        state.score[i] = -inf
        if state.hopes[i] == most and state.count[i] == front:
            regret = 0.0
            for j in range(arms):
                if j != i and state.theta[i, j] != 0.5:
                    regret += (2.0 * top - state.count[i] - state.count[j]) / coin_kl(state.theta[i, j])
            state.score[i] = -regret
    return argmax_random(state.score, noise)
