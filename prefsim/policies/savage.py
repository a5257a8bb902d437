"""SAVAGE for Condorcet winners: sample all pairs evenly, and drop an arm as soon as some other one surely beats it.

Of the pairs of arms alive the one with the fewest duels ``n`` plays, ties broken at random: the pairs are gone through in
sweeps of random order. With ``m(i, j)`` the share that ``i`` won,

    c = sqrt(ln(K (K - 1) T / delta) / (2 n)),   delta = 1/T:   drop i when m(i, j) + c < 1/2

until one arm is left, which then duels itself. Only the pair that just dueled can change, so a round costs O(1). The radius is
Hoeffding's with a union over pairs and rounds, so that a Condorcet winner, all that is needed, survives with probability
``1 - delta``; regret ``O(K^2 ln T / Delta^2)`` (Urvoy, Clerot, Feraud, Naamane 2013, "Generic exploration and K-armed voting
bandits").
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, floats, integers, uniform
from prefsim.policies._limits import complain

FEEDBACK = "duel"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    delta: float = 0.0
    """Probability of failure, below 1; 0 stands for ``1/T``."""
    radius: float = 1.0
    """Factor on the confidence radius ``c``; the theorem is about 1."""


class State(NamedTuple):
    """Statistics of every pair, and the list of pairs of arms alive."""

    alive: Array = integers("arms")
    wins: Array = floats("arms", "arms")
    pairs: Array = integers("arms", "arms")
    """Entry ``k``, counted row by row, is ``i arms + j`` for the ``k``-th pair alive."""
    size: Array = integers(1)
    """Number of pairs alive."""
    left: Array = integers(1)
    """The first `left` pairs of the list are still to play in this sweep."""
    scale: Array = floats(1)
    """``c sqrt(n)``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"radius must be > 0; got {hyper.radius:g}." if hyper.radius <= 0 else complain(hyper)


def init(hyper, state, problem):
    """List all pairs."""
    arms, rounds = problem.arms, float(problem.horizon)
    inverse = 1.0 / hyper.delta if hyper.delta > 0 else rounds
    state.scale[0] = hyper.radius * sqrt(0.5 * log(max(1, arms * (arms - 1)) * rounds * inverse))
    size = 0
    for i in range(arms):
        state.alive[i] = 1
        for j in range(i + 1, arms):
            state.pairs[size // arms, size % arms] = i * arms + j
            size += 1
    state.size[0] = size


def act(hyper, state, problem, t, noise):
    """A random pair among those that have not played in this sweep."""
    arms = problem.arms
    if state.size[0] == 0:
        survivor = recommend(hyper, state, problem, t)
        return survivor, survivor
    if state.left[0] == 0:
        state.left[0] = state.size[0]
    k = int(uniform(noise) * state.left[0])
    state.left[0] -= 1
    end = state.left[0]
    pair = state.pairs[k // arms, k % arms]
    state.pairs[k // arms, k % arms] = state.pairs[end // arms, end % arms]
    state.pairs[end // arms, end % arms] = pair
    return pair // arms, pair % arms


def learn(hyper, state, problem, t, action, feedback):
    """Update the pair and drop its loser if that is certain."""
    first, second = action
    if first == second:
        return
    state.wins[first, second] += feedback
    state.wins[second, first] += 1.0 - feedback
    duels = state.wins[first, second] + state.wins[second, first]
    mean, width = state.wins[first, second] / duels, state.scale[0] / sqrt(duels)
    if mean + width < 0.5:
        drop(state, problem.arms, first)
    elif mean - width > 0.5:
        drop(state, problem.arms, second)


def drop(state, arms, loser):
    """Remove an arm and its pairs, keeping the order of the list."""
    state.alive[loser] = 0
    size, left = 0, 0
    for k in range(state.size[0]):
        pair = state.pairs[k // arms, k % arms]
        if pair // arms != loser and pair % arms != loser:
            state.pairs[size // arms, size % arms] = pair
            size += 1
            left += 1 if k < state.left[0] else 0
    state.size[0] = size
    state.left[0] = left


def recommend(hyper, state, problem, t):
    """The arm alive whose worst record against the others alive is best."""
    best, most = -1, -1.0
    for i in range(problem.arms):
        if state.alive[i] == 1:
            worst = 1.0
            for j in range(problem.arms):
                duels = state.wins[i, j] + state.wins[j, i]
                if state.alive[j] == 1 and duels > 0:
                    worst = min(worst, state.wins[i, j] / duels)
            if worst > most:
                best, most = i, worst
    return best
