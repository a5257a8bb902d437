"""Thompson sampling for Gaussian rewards of known variance: play the arm whose posterior sample is largest.

    theta(i) ~ N(mean(i), s^2 / n(i)),    play argmax theta

with ``n(i)`` pulls of arm ``i``, the problem's deviation ``s`` and a flat prior, under which an arm without data comes first.
Ties, which but for those have next to no probability, are broken uniformly at random. On Gaussian rewards of deviation ``s``
it is asymptotically optimal: ``E regret(T) / ln T`` tends to ``sum_i 2 s^2 / D_i`` (Korda, Kaufmann, Munos 2013, Theorem 1, for
one-dimensional exponential families under Jeffreys' prior, which is flat here; recalled, not checked against the paper).
"""

from math import inf, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, floats, normal

FEEDBACK = "bandit"
SLOPE_COVERS = "gaussian"


class Hyper(NamedTuple):
    """Hyperparameters."""

    scale: float = 1.0
    """Factor on the posterior's standard deviation; 0 is greedy."""


class State(NamedTuple):
    """What the next round needs; all of shape (arms,)."""

    pulls: Array = floats("arms")
    total: Array = floats("arms")
    """Sum of rewards."""
    mean: Array = floats("arms")
    """``total / pulls``; infinite before the first pull, so that new arms come first."""
    spread: Array = floats("arms")
    """Posterior standard deviation."""
    sample: Array = floats("arms")


def validate(hyper):
    """Refuse what makes no sense."""
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def init(hyper, state, problem):
    """Make every arm irresistible until it is pulled."""
    for i in range(problem.arms):
        state.mean[i] = inf


def act(hyper, state, problem, t, noise):
    """Sample every posterior and play the largest."""
    for i in range(problem.arms):
        state.sample[i] = state.mean[i] + state.spread[i] * normal(noise)
    return argmax_random(state.sample, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the played arm's posterior."""
    state.pulls[action] += 1.0
    state.total[action] += feedback
    state.mean[action] = state.total[action] / state.pulls[action]
    state.spread[action] = hyper.scale * problem.deviation / sqrt(state.pulls[action])


def regret_slope(hyper, truth, problem):
    """``sum_i 2 s^2 / D_i``; NaN if rescaled."""
    gaps = truth.gap[truth.gap > 0]
    return float((2 * problem.deviation**2 / gaps).sum()) if hyper.scale == 1.0 else float("nan")
