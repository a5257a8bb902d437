"""KL-UCB: play the arm with the largest mean that its data do not rule out.

    index(i) = max { q in [0, 1] : n(i) kl(mean(i), q) <= B(t) },    B(t) = ln t + c max(0, ln ln t)

with the Bernoulli divergence ``kl``, the round ``t`` being decided and ``n(i)`` pulls of arm ``i``; every arm is pulled once
first (random order). Ties are broken uniformly at random. For rewards in [0, 1] and ``c >= 3``

    E regret(T) / ln T -> at most  sum_i D_i / kl(mu_i, mu*)

which no policy betters on Bernoulli rewards (Garivier and Cappe 2011, Theorem 1, there ``c = 3``; more only adds to ``B`` what
is small beside ``ln t``; recalled). The default ``c = 0`` is their choice in practice, which the theorem does not cover: no
slope stands beside its data.

Indices are found by Newton's method, from the last one, to 1e-9 and better: ``kl(m, .)`` is convex, so that from the right it
goes down to the root without overshooting. As a function of ``B`` an index is concave, so its tangent where it was last
computed bounds it from above (``base + slope B``), and only the arms whose tangents reach the top are computed in a round.
"""

from math import exp, log, sqrt
from typing import NamedTuple

from prefsim.ops import TIE, Array, argmax_random, bernoulli_kl, floats

FEEDBACK = "bandit"
REWARDS = "unit"
SLOPE_COVERS = "unit"


class Hyper(NamedTuple):
    """Hyperparameters."""

    c: float = 0.0
    """Weight of ``ln ln t``; 3 in the theorem, 0 in practice."""


class State(NamedTuple):
    """What the next round needs; all of shape (arms,)."""

    pulls: Array = floats("arms")
    total: Array = floats("arms")
    """Sum of rewards."""
    upper: Array = floats("arms")
    """The index as last computed; 2 before the first pull, so that new arms come first."""
    base: Array = floats("arms")
    slope: Array = floats("arms")
    """Tangent to the index as a function of ``B``."""
    level: Array = floats("arms")
    """``B`` for which `upper` holds; it grows every round, so that no older index passes for exact."""
    index: Array = floats("arms")
    """Upper bounds on the indices, exact at the top."""


def solve(mean, level, start):
    """The largest ``q`` with ``kl(mean, q) <= level``, by Newton's method from `start`."""
    if mean >= 1.0:
        return 1.0
    if mean <= 0.0:
        return 1.0 - exp(-level)
    # Two points right of the root: Pinsker's, and that of (1 - mean) ln(1 / (1 - q)) <= level + entropy of the mean.
    entropy = mean * log(mean) + (1.0 - mean) * log(1.0 - mean)
    top = min(mean + sqrt(0.5 * level), 1.0 - exp((entropy - level) / (1.0 - mean)))
    if top >= 1.0:
        return 1.0
    q = start if mean < start < top else top
    for _ in range(100):
        excess = entropy - mean * log(q) - (1.0 - mean) * log(1.0 - q) - level
        move = excess * q * (1.0 - q) / (q - mean)
        q = min(q - move, top)
        if move * move < 1e-14 * min(q - mean, 1.0 - q):  # what is left is about move^2 over these distances
            break
    return q


def validate(hyper):
    """Refuse what makes no sense."""
    return f"c must be >= 0; got {hyper.c:g}." if hyper.c < 0 else ""


def init(hyper, state, problem):
    """Make every arm irresistible until it is pulled."""
    for i in range(problem.arms):
        state.base[i] = 2.0


def act(hyper, state, problem, t, noise):
    """Bound every index by its tangent and compute those at the top, until the largest is exact."""
    level = log(t)
    if hyper.c > 0.0 and level > 1.0:
        level += hyper.c * log(level)
    for i in range(problem.arms):
        state.index[i] = state.base[i] + state.slope[i] * level
    while True:
        top = 0
        for i in range(1, problem.arms):
            if state.index[i] > state.index[top]:
                top = i
        best, stale = state.index[top] - TIE, -1
        for i in range(problem.arms):
            if state.index[i] >= best and state.level[i] != level and state.pulls[i] > 0.0:
                stale = i
                refresh(state, i, level)
        if stale < 0:
            return argmax_random(state.index, noise)


def refresh(state, i, level):
    """Compute an index and its tangent: ``d kl(m, q) / d q = (q - m) / (q (1 - q))``."""
    mean = state.total[i] / state.pulls[i]
    q = solve(mean, level / state.pulls[i], state.upper[i])
    state.slope[i] = q * (1.0 - q) / (state.pulls[i] * (q - mean)) if q > mean else 0.0
    state.base[i] = q - state.slope[i] * level
    state.upper[i] = state.index[i] = q
    state.level[i] = level


def learn(hyper, state, problem, t, action, feedback):
    """Count the reward; the arm's index is unknown until it is computed."""
    state.pulls[action] += 1.0
    state.total[action] += feedback
    state.base[action] = 2.0
    state.slope[action] = 0.0


def regret_slope(hyper, truth, problem):
    """The coefficient of Lai and Robbins for Bernoulli arms; NaN for ``c < 3``, where the theorem is silent."""
    if hyper.c < 3.0:
        return float("nan")
    worse = truth.gap > 0
    return float((truth.gap[worse] / bernoulli_kl(truth.means[worse], truth.means.max())).sum())
