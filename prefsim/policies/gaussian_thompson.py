"""Thompson sampling for Gaussian rewards of known variance: play the arm whose posterior sample is largest.

    theta(i) ~ N(mean(i), s^2 / n(i)),    play argmax theta

with ``n(i)`` pulls of arm ``i``, the problem's deviation ``s`` and a flat prior, under which an arm without data comes first.
Ties, which but for those have next to no probability, are broken uniformly at random. On Gaussian rewards of deviation ``s``
it is asymptotically optimal: ``E regret(T) / ln T`` tends to ``sum_i 2 s^2 / D_i`` (Korda, Kaufmann, Munos 2013, Theorem 1, for
one-dimensional exponential families under Jeffreys' prior, which is flat here; recalled, not checked against the paper).
"""

from typing import NamedTuple

from prefsim.ops import argmax_random, normal
from prefsim.policies._means import State, init, learn  # noqa: F401

FEEDBACK = "bandit"
LOCKSTEP = True
SLOPE_COVERS = "gaussian"


class Hyper(NamedTuple):
    """Hyperparameters."""

    scale: float = 1.0
    """Factor on the posterior's standard deviation; 0 is greedy."""


def validate(hyper):
    """Refuse what makes no sense."""
    return f"scale must be >= 0; got {hyper.scale:g}." if hyper.scale < 0 else ""


def act(hyper, state, problem, t, noise):
    """Sample every posterior and play the largest."""
    spread = hyper.scale * problem.deviation
    for i in range(problem.arms):
        state.index[i] = state.mean[i] + spread * state.root[i] * normal(noise)
    return argmax_random(state.index, noise)


def regret_slope(hyper, truth, problem):
    """``sum_i 2 s^2 / D_i``; NaN if rescaled."""
    gaps = truth.gap[truth.gap > 0]
    return float((2 * problem.deviation**2 / gaps).sum()) if hyper.scale == 1.0 else float("nan")
