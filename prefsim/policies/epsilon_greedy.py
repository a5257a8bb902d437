"""Epsilon-greedy: mostly the arm with the best mean, and a random arm with probability ``epsilon_t``.

    epsilon_t = min(1, c K / (gap^2 t)),    or a constant

Each of the ``K`` arms is pulled once first (random order); ties between means are broken uniformly at random. With ``c > 5``
and ``0 < gap <= min_i D_i`` a wrong arm is played in round ``t`` with probability ``c / (gap^2 t) + o(1 / t)``, so that

    E regret(T) / ln T -> (c / gap^2) sum_i D_i        for rewards in [0, 1]

(Auer, Cesa-Bianchi, Fischer 2002, Theorem 3; recalled, not checked against the paper. Exploration alone costs as much, so
the coefficient is exact). With less exploration, as in the default, and with a constant ``epsilon`` nothing of the kind is
known: a constant costs ``epsilon`` times the mean gap in every round.
"""

from math import inf
from typing import NamedTuple

from prefsim.ops import TIE, Array, argmax_random, floats, uniform

FEEDBACK = "bandit"
SLOPE_COVERS = "unit"


class Hyper(NamedTuple):
    """Hyperparameters."""

    c: float = 5.0
    """Exploration; the theorem is for more than 5."""
    gap: float = 1.0
    """The ``d`` of the paper, in (0, 1]; the theorem needs at most the smallest gap."""
    epsilon: float = 0.0
    """Constant probability of exploration; 0 for the decaying one."""


class State(NamedTuple):
    """What the next round needs."""

    pulls: Array = floats("arms")
    mean: Array = floats("arms")
    """Mean reward so far; infinite before the first pull, so that new arms come first."""


def validate(hyper):
    """Refuse what makes no sense."""
    if not 0 <= hyper.epsilon <= 1:
        return f"epsilon must lie in [0, 1], 0 for the decaying one; got {hyper.epsilon:g}."
    if not 0 < hyper.gap <= 1:
        return f"gap must lie in (0, 1]; got {hyper.gap:g}."
    return f"c must be >= 0; got {hyper.c:g}." if hyper.c < 0 else ""


def init(hyper, state, problem):
    """Make every arm irresistible until it is pulled."""
    for i in range(problem.arms):
        state.mean[i] = inf


def act(hyper, state, problem, t, noise):
    """Explore or exploit, once every arm has been seen."""
    arms = problem.arms
    chance = hyper.epsilon if hyper.epsilon > 0.0 else hyper.c * arms / (hyper.gap * hyper.gap * t)
    if t > arms and uniform(noise) < chance:
        return int(uniform(noise) * arms)
    return argmax_random(state.mean, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the played arm's mean."""
    if state.pulls[action] == 0.0:
        state.mean[action] = 0.0
    state.pulls[action] += 1.0
    state.mean[action] += (feedback - state.mean[action]) / state.pulls[action]


def regret_slope(hyper, truth, problem):
    """``(c / gap^2) sum_i D_i``; NaN outside the theorem's assumptions."""
    gaps = truth.gap[truth.gap > 0]
    if hyper.epsilon > 0 or hyper.c <= 5 or (len(gaps) and hyper.gap > gaps.min() + TIE):
        return float("nan")
    return float(hyper.c / hyper.gap**2 * gaps.sum())
