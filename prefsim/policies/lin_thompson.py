"""Linear Thompson sampling: play the best arm for a parameter drawn around the ridge estimate.

With ``V = lambda I + sum x x^T`` over the played features and ``theta = V^-1 sum reward x``, play

    argmax_a <x_a, theta + v V^{-1/2} z>,    z ~ N(0, I)

where ``v = scale * R`` in practice, ``R`` being the noise's sub-Gaussian parameter: with Gaussian noise and ``scale = 1``
this samples the posterior of the prior ``N(0, R^2 / lambda I)``. With ``theory`` the theorem's ``v = R sqrt(9 d ln(t /
delta))`` is used, for which the regret is of order ``d^{3/2} sqrt(T)`` up to logarithms with probability ``1 - delta``
(Agrawal and Goyal 2013, Theorem 1; recalled, no constants). The rule keeps the Cholesky factor ``V = L L^T``, rotated for
every new ``x``, and draws ``L^-T z``. Ties are broken uniformly at random.
"""

from math import log, sqrt
from typing import NamedTuple

from prefsim.ops import Array, argmax_random, dot, factor_add, floats, normal, solve
from prefsim.policies._limits import complain

FEEDBACK = "bandit"
SIDE = "features"


class Hyper(NamedTuple):
    """Hyperparameters."""

    ridge: float = 1.0
    """The ridge parameter ``lambda``."""
    scale: float = 1.0
    """Factor on the deviation of the samples."""
    theory: bool = False
    """Inflate the deviation as the theorem does."""
    delta: float = 0.05
    """Failure probability of the theorem; used with ``theory`` only."""


class State(NamedTuple):
    """Ridge regression."""

    factor: Array = floats("dimension", "dimension")
    """The lower factor ``L``."""
    target: Array = floats("dimension")
    """``L^-1 sum reward x``, rotated with the factor; ``theta = L^-T target``."""
    sample: Array = floats("dimension")
    index: Array = floats("arms")
    scratch: Array = floats("dimension")


def validate(hyper):
    """Refuse what makes no sense."""
    if not 0 < hyper.delta < 1:
        return f"delta must lie in (0, 1); got {hyper.delta:g}."
    return complain(hyper, "scale")


def init(hyper, state, problem):
    """No data: ``V`` is the ridge alone."""
    for k in range(problem.dimension):
        state.factor[k, k] = sqrt(hyper.ridge)


def act(hyper, state, problem, t, noise):
    """Sample a parameter and play its best arm."""
    v = hyper.scale * problem.deviation
    if hyper.theory:
        v *= sqrt(9.0 * problem.dimension * log(t / hyper.delta))
    for k in range(problem.dimension):
        state.scratch[k] = state.target[k] + v * normal(noise)
    solve(state.factor, state.scratch, True, state.sample)
    for a in range(problem.arms):
        state.index[a] = dot(problem.features[a], state.sample)
    return argmax_random(state.index, noise)


def learn(hyper, state, problem, t, action, feedback):
    """Update the regression."""
    factor_add(state.factor, problem.features[action], state.scratch, state.target, feedback)
