"""RUCB, relative upper confidence bound: let the arm that may beat all others face its strongest challenger.

With ``mu(i, j)`` the share of duels ``i`` won against ``j`` and ``n(i, j)`` their number,

    U(i, j) = mu(i, j) + sqrt(alpha ln t / n(i, j)),   1 without data,   U(i, i) = 1/2
    C = { i : U(i, j) >= 1/2 for all j },   champion c from C (favouring the incumbent B),   challenger d = argmax_j U(j, c)

The champion is uniform over all arms when C is empty. Challenger ties are broken uniformly at random, never in favour of
a self-duel; self-duels teach nothing. For ``alpha > 1/2`` and a Condorcet winner ``w`` the leading regret is
``sum_j 2 alpha ln T / D_wj`` (Zoghi, Whiteson, Munos, de Rijke 2014, Theorem 4, with probability ``1 - delta`` and an additive
constant that depends on ``delta``; recalled, not checked against the paper; incumbent rule from the authors' code).

``U(i, j) >= 1/2`` holds exactly when ``sqrt(ln t) >= (1/2 - mu) sqrt(n / alpha)``. That right side changes only for the
pair that duels, so it is kept (``need``) and a round costs O(arms) and one logarithm.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import TIE, Array, argmax_random, floats, integers, uniform
from prefsim.policies._duel_bounds import Hyper, validate

__all__ = ["Hyper", "validate"]

FEEDBACK = "duel"
SLOPE_COVERS = "duel_average"


class State(NamedTuple):
    """Statistics of every pair; row ``c`` of `mean` and `width` holds the challengers of ``c``."""

    wins: Array = floats("arms", "arms")
    mean: Array = floats("arms", "arms")
    """``mean[c, j]``: share of duels ``j`` won against ``c``; 1 without data."""
    width: Array = floats("arms", "arms")
    """``width[c, j] = sqrt(alpha / n)``; 0 without data."""
    need: Array = floats("arms", "arms")
    """``need[i, j]``: value of ``sqrt(ln t)`` from which on ``U(i, j) >= 1/2``."""
    hurdle: Array = floats("arms")
    """``max_j need[i, j]``: arm ``i`` is in C from there on."""
    upper: Array = floats("arms")
    incumbent: Array = integers(1)
    """The hypothesised winner B, or -1."""


def init(hyper, state, problem):
    """No data: every bound is 1."""
    state.incumbent[0] = -1
    for c in range(problem.arms):
        for j in range(problem.arms):
            state.mean[c, j] = 1.0


def act(hyper, state, problem, t, noise):
    """Choose champion and challenger."""
    arms, root = problem.arms, sqrt(log(t))
    champion, size = -1, 0
    for i in range(arms):
        if state.hurdle[i] <= root:
            champion = i
            size += 1
    incumbent = state.incumbent[0]
    if incumbent >= 0 and state.hurdle[incumbent] > root:
        incumbent = -1
    if size == 0:
        champion = int(uniform(noise) * arms)
    elif size == 1:
        incumbent = champion
    elif incumbent >= 0 and uniform(noise) < 0.5:
        champion = incumbent
    else:
        skip = int(uniform(noise) * (size - 1 if incumbent >= 0 else size))
        for i in range(arms):
            if state.hurdle[i] <= root and i != incumbent:
                if skip == 0:
                    champion = i
                    break
                skip -= 1
    state.incumbent[0] = incumbent
    for j in range(arms):
        state.upper[j] = state.mean[champion, j] + root * state.width[champion, j]
    state.upper[champion] = -1.0
    challenger = argmax_random(state.upper, noise)
    if state.upper[challenger] < 0.5 - TIE:
        challenger = champion
    return champion, challenger


def learn(hyper, state, problem, t, action, feedback):
    """Update the pair, seen from both sides."""
    first, second = action
    if first == second:
        return
    state.wins[first, second] += feedback
    state.wins[second, first] += 1.0 - feedback
    duels = state.wins[first, second] + state.wins[second, first]
    width = sqrt(hyper.alpha / duels)
    for i, j in ((first, second), (second, first)):
        mean = state.wins[i, j] / duels
        state.mean[j, i] = mean
        state.width[j, i] = width
        state.need[i, j] = (0.5 - mean) / width
        hurdle = 0.0
        for k in range(problem.arms):
            hurdle = max(hurdle, state.need[i, k])
        state.hurdle[i] = hurdle


def regret_slope(hyper, truth, problem):
    """Leading coefficient ``sum_j 2 alpha / D_wj``."""
    if hyper.alpha <= 0.5:
        return float("nan")
    return float((2 * hyper.alpha / truth.gap[truth.gap > 0]).sum())
