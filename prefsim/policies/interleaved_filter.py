"""Interleaved filter (IF): a candidate duels all its rivals in turn until one of them beats it or all have lost.

With ``n`` duels of candidate ``b`` against each rival and ``m(j)`` the share ``b`` won against ``j``, after every sweep

    c = sqrt(4 ln(1/delta) / n),   delta = 1 / (T K^2)
    drop every j with m(j) - c > 1/2
    if some j has m(j) + c < 1/2:  drop b and every k with m(k) > 1/2 (pruning);  b = j

until one arm is left, which then duels itself. A new candidate starts from no data: rivals have only ever met the candidate.
Expected regret ``O(K ln T / eps)``, ``eps`` the smallest gap, and the best arm survives with probability ``1 - 1/T``, under a
total order with strong stochastic transitivity and the stochastic triangle inequality (Yue, Broder, Kleinberg, Joachims 2012,
"The K-armed dueling bandits problem"; constants as in the authors' successors' code). The first candidate, and the next one
if several rivals qualify, are drawn uniformly.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, floats, integers, uniform

FEEDBACK = "duel"
ANYTIME = False


class Hyper(NamedTuple):
    """Hyperparameters."""

    radius: float = 1.0
    """Factor on the confidence radius ``c``; the theorem is about 1."""


class State(NamedTuple):
    """The candidate and its record against the others."""

    alive: Array = integers("arms")
    left: Array = integers(1)
    """Number of arms alive."""
    candidate: Array = integers(1)
    """The arm ``b``, or -1 before the first round."""
    wins: Array = floats("arms")
    """Duels the candidate won against each arm."""
    sweeps: Array = integers(1)
    """The number ``n``, of complete sweeps."""
    cursor: Array = integers(1)
    """Rivals below this number were met in the current sweep."""
    scale: Array = floats(1)
    """``c sqrt(n)``."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"radius must be > 0; got {hyper.radius:g}." if hyper.radius <= 0 else ""


def init(hyper, state, problem):
    """Everybody is alive."""
    state.candidate[0] = -1
    state.left[0] = problem.arms
    state.scale[0] = hyper.radius * sqrt(4.0 * log(float(problem.horizon) * problem.arms * problem.arms))
    for i in range(problem.arms):
        state.alive[i] = 1


def act(hyper, state, problem, t, noise):
    """The candidate against its next rival."""
    arms = problem.arms
    if state.candidate[0] < 0:
        state.candidate[0] = int(uniform(noise) * arms)
    while state.left[0] > 1:
        cursor = state.cursor[0]
        while cursor < arms and (state.alive[cursor] == 0 or cursor == state.candidate[0]):
            cursor += 1
        state.cursor[0] = cursor
        if cursor < arms:
            return state.candidate[0], cursor
        state.cursor[0] = 0
        state.sweeps[0] += 1
        prune(state, arms, noise)
    return state.candidate[0], state.candidate[0]


def prune(state, arms, noise):
    """Drop the beaten at the end of a sweep, and the candidate if a rival beat it."""
    candidate, duels = state.candidate[0], float(state.sweeps[0])
    width = state.scale[0] / sqrt(duels)
    rivals, following = 0, -1
    for j in range(arms):
        if state.alive[j] == 1 and j != candidate:
            mean = state.wins[j] / duels
            if mean - width > 0.5:
                state.alive[j] = 0
                state.left[0] -= 1
            elif mean + width < 0.5:
                rivals += 1
                if uniform(noise) * rivals < 1.0:
                    following = j
    if following >= 0:
        for k in range(arms):
            if state.alive[k] == 1 and (k == candidate or state.wins[k] > 0.5 * duels):
                state.alive[k] = 0
                state.left[0] -= 1
            state.wins[k] = 0.0
        state.candidate[0] = following
        state.sweeps[0] = 0


def learn(hyper, state, problem, t, action, feedback):
    """Count the duel; self-duels teach nothing."""
    if action[0] != action[1]:
        state.wins[action[1]] += feedback
        state.cursor[0] = action[1] + 1


def recommend(hyper, state, problem, t):
    """The candidate."""
    return state.candidate[0]
